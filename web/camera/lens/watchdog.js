// When a lens or a microphone that gives nothing is to be taken anew: soon at first, then ever more
// rarely, for as long as it takes. A phone in a drawer has nobody to reload its page.
//
//   const watchdog = new Watchdog();
//   const trouble = troubleOf({...});
//   if (watchdog.look(trouble, now)) ...   // a few times a second; take it anew
//
// Smaller means come first and are elsewhere: an engine begins afresh after 3 s without a byte
// (webcodecs.js, media-recorder.js), and a recorder takes the place of WebCodecs after three times.

import { Pace } from "./lens-pace.js";

/**
 * ended: the track is over and the browser has not said so; muted: the system gives nothing; still:
 * nothing new comes out of a track that looks well; silent: it seems to move, and yet no byte
 * comes.
 * @typedef {"ended" | "muted" | "still" | "silent"} Trouble
 */

/**
 * Milliseconds for which there must be trouble. A lens that only changes has none of it for so
 * long; a call ends by itself; engines begin afresh before a lens that stands still is taken anew,
 * and have three tries of 3 s each where it moves.
 * @type {Record<Trouble, number>}
 */
const PATIENCE = { ended: 1000, muted: 10000, still: 2500, silent: 12000 };

/** Milliseconds from one time to the next, at first and at most. */
const FIRST_PAUSE = 10000;
const LONGEST_PAUSE = 120000;

/** Milliseconds without trouble after which the pauses are short again. */
const WELL = 30000;

/** Milliseconds without a byte after which there is silence. */
const SILENCE = 3000;

/** Milliseconds without a picture after which a lens of ordinary pace stands still. */
const STILL = 3000;

/**
 * @param {{ended: boolean, muted: boolean, silence: number, still: boolean, patience?: number}}
 *     facts silence: ms since the last byte; still: see Stillness; patience: ms that a slow lens
 *     may take
 * @returns {Trouble | ""} the worst
 */
export function troubleOf({ ended, muted, silence, still, patience = 0 }) {
  if (ended) return "ended";
  if (muted) return "muted";
  if (still) return "still";
  return silence > Math.max(SILENCE, patience) ? "silent" : "";
}

export class Watchdog {
  constructor() {
    /** @type {Trouble | ""} */
    this.trouble = "";
    this.since = 0;
    this.wellSince = 0;
    this.pause = FIRST_PAUSE;
    this.actedAt = -Infinity;
    /** How often it was taken anew. */
    this.count = 0;
  }

  /**
   * @param {Trouble | "" | null} trouble "" is none; null if nothing is expected of it now
   * @param {number} now ms
   * @returns {boolean} whether to take it anew now
   */
  look(trouble, now) {
    if (trouble !== this.trouble) {
      if (!trouble) this.wellSince = now;
      this.since = now;
      this.trouble = trouble || "";
    }
    if (trouble === null) this.wellSince = now; // this proves nothing
    if (!trouble) {
      if (now - this.wellSince > WELL) this.pause = FIRST_PAUSE;
      return false;
    }
    if (now - this.since < PATIENCE[trouble] || now - this.actedAt < this.pause) return false;
    if (this.actedAt > -Infinity) this.pause = Math.min(LONGEST_PAUSE, this.pause * 2);
    this.actedAt = this.since = now;
    this.count += 1;
    return true;
  }
}

/** Whether a picture stands still, by a count of the pictures that were shown. */
export class Stillness {
  constructor() {
    this.still = false;
    this.pace = new Pace();
    /**
     * The count at the last look, and when it rose last.
     * @type {{at: number, count: number} | null}
     */
    this.mark = null;
  }

  /**
   * @param {number | null} count pictures shown so far; null where it cannot be told, or while the
   *   page has an excuse
   * @param {number} now ms
   * @param {MediaStreamTrack | null} track whose they are
   * @returns {boolean}
   */
  look(count, now, track) {
    if (count === null) {
      this.mark = null;
      this.still = false;
      this.pace.interrupted();
      return false;
    }
    if (this.mark === null) this.mark = { at: now, count };
    if (count !== this.mark.count) {
      this.mark.count = count;
      if (this.pace.picture(now)) this.mark.at = now;
    }
    this.still = now - this.mark.at >= this.patience(track);
    return this.still;
  }

  /**
   * @param {MediaStreamTrack | null} track
   * @returns {number} ms without a picture that are nothing unusual
   */
  patience(track) {
    return this.pace.patience(track, STILL);
  }
}
