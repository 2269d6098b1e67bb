// Notices a phone that cannot encode what its camera gives. WebCodecs then leaves out pictures; so
// does a recorder, after it has made the others wait: up to ten of them in Chrome, a third of a
// second. A smaller picture that comes at once is worth more.
//
//   const overload = new Overload();
//   if (overload.judge(shown, recorded, now)) ...   // twice a second or so

/** Milliseconds over which the camera's pictures are counted, and for how long it must go badly. */
const WINDOW = 2000;
const PATIENCE = 6000;

/** Recorded pictures for each one of the camera's below which it goes badly. */
const TOO_FEW = 0.7;

/** Pictures per second. A camera that gives less is in the dark or asleep, and proves nothing. */
const LEAST_RATE = 8;

export class Overload {
  constructor() {
    /** @type {{at: number, shown: number} | null} */
    this.mark = null;
    this.badSince = 0;
  }

  /** After a change of camera, size or recorder: what was counted says nothing any more. */
  reset() {
    this.mark = null;
    this.badSince = 0;
  }

  /**
   * @param {number} shown pictures that the camera has given so far
   * @param {number | null} recorded pictures per second that the encoder gives, null when unknown
   * @param {number} now ms
   * @returns {boolean} whether the phone has been too slow for a while; true once, then the
   *   counting begins again
   */
  judge(shown, recorded, now) {
    if (!this.mark || shown < this.mark.shown) this.mark = { at: now, shown };
    const span = now - this.mark.at;
    if (span < WINDOW) return false;
    const rate = ((shown - this.mark.shown) * 1000) / span;
    this.mark = { at: now, shown };
    const bad = recorded !== null && rate >= LEAST_RATE && recorded < rate * TOO_FEW;
    if (!bad) this.badSince = 0;
    else if (this.badSince === 0) this.badSince = now;
    else if (now - this.badSince >= PATIENCE - WINDOW) {
      this.reset();
      return true;
    }
    return false;
  }
}
