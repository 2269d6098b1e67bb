// How slowly a lens gives its pictures, so that one that gives a picture in five seconds is not
// taken for one that stands still.
//
//   const pace = new Pace();
//   pace.picture(now)                // with each picture; whether it proves that the lens moves
//   pace.renewed(now)                // an engine has begun afresh, or the lens itself
//   pace.interrupted()               // what comes now is late for a reason
//   pace.patience(track, least)      // ms without a picture that are nothing unusual

/** So many of its own gaps may pass without a picture. */
const GAPS = 3;

/**
 * Gaps of which the longest counts: a recorder writes some pictures in pieces, so those between
 * them say nothing.
 */
const COUNTED = 6;

/**
 * Milliseconds between two pictures, where the browser does not say it, until pictures have told.
 */
const UNKNOWN = 4000;

/**
 * Milliseconds between two pictures that are believed at most: beyond that nobody could call it
 * filming.
 */
const SLOWEST = 60000;

/**
 * Milliseconds in which a lens that stands still may repeat its last picture, because an engine has
 * begun afresh.
 */
const REPEATS = 1000;

export class Pace {
  constructor() {
    /** Between the last pictures, ms. @type {number[]} */
    this.gaps = [];
    /** When the last picture came, or null. @type {number | null} */
    this.at = null;
    this.renewedAt = -Infinity;
  }

  /** @param {number} now ms @returns {boolean} */
  picture(now) {
    if (now - this.renewedAt < REPEATS) return false;
    if (this.at !== null) this.gaps.push(now - this.at);
    if (this.gaps.length > COUNTED) this.gaps.shift();
    this.at = now;
    return true;
  }

  /** @param {number} now ms */
  renewed(now) {
    this.renewedAt = now;
  }

  interrupted() {
    this.at = null;
  }

  /**
   * @param {MediaStreamTrack | null} track
   * @param {number} least for a lens of ordinary pace, ms
   * @returns {number} ms
   */
  patience(track, least) {
    const rate = (track && track.getSettings().frameRate) || 0;
    const told = rate > 0 ? 1000 / rate : UNKNOWN;
    const gap = this.gaps.length > 0 ? Math.max(...this.gaps) : told;
    return Math.max(least, Math.min(gap, SLOWEST) * GAPS);
  }
}
