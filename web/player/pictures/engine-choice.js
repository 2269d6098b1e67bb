// Which engine is to show a tile's pictures: the best one that has not failed. What has failed gets
// another chance later, because a computer that was busy for a moment should show them soon.

import { playsOthers } from "./plays.js";

/** The engines, best first. */
const ENGINES = ["frames", "mse", "jpeg"];

/** After all engines have failed they get another chance with another kind of track, or after so
 *  long (ms), and each time after twice as long: one that cannot need not try all the time. */
const FORGIVE_FIRST = 4000;
const FORGIVE_LAST = 60000;

/** Where this browser does not play the camera's codec, but others, that is tried again after so
 *  long (ms), and each time after twice as long: the relay asks a camera every 30 s at most to
 *  change its codec, and only while a viewer that needs it wants frames. */
const HOPE_FIRST = 40000;
const HOPE_LAST = 3600000;

export class EngineChoice {
  /** @param {string | null} forced the only engine to use */
  constructor(forced) {
    this.forced = forced;
    /** Engines that have failed for this track, and why. @type {Map<string, string>} */
    this.failures = new Map();
    /** Those among them that do not play this codec at all. @type {Set<string>} */
    this.unable = new Set();
    this.failedAt = 0;
    this.forgiveAfter = FORGIVE_FIRST;
    this.hopeAfter = HOPE_FIRST;
    /** What this browser plays (plays.js). @type {string[]} */
    this.plays = [];
  }

  /** The best engine that has not failed. @returns {string | null} */
  get best() {
    const fits = (/** @type {string} */ name) => !this.forced || name === this.forced;
    return ENGINES.find((name) => !this.failures.has(name) && fits(name)) || null;
  }

  /** There is another kind of track. */
  begin() {
    this.failures.clear();
    this.unable.clear();
    this.forgiveAfter = FORGIVE_FIRST;
    this.hopeAfter = HOPE_FIRST;
  }

  /** @param {string} name of an engine that does not play the track's codec */
  cannot(name) {
    this.unable.add(name);
  }

  /** An engine has shown pictures: it can, but not always. */
  worked() {
    this.forgiveAfter = FORGIVE_FIRST;
  }

  /** @param {string} name @param {string} reason @param {number} now ms */
  fail(name, reason, now) {
    this.failures.set(name, reason);
    this.failedAt = now;
  }

  /** Single pictures are shown: may the camera be asked once more for a codec that this browser
   *  plays?
   *  @param {string} codec of the track @param {number} now ms
   *  @returns {boolean} whether the best engine is to be used from now on */
  hope(codec, now) {
    if (this.unable.size === 0 || this.isUnlucky || !playsOthers(this.plays, codec)) return false;
    if (now - this.failedAt <= this.hopeAfter) return false;
    this.hopeAfter = Math.min(2 * this.hopeAfter, HOPE_LAST);
    this.unable.clear();
    this.failures.clear();
    return true;
  }

  /** Whether there is an engine that could not for a moment only. */
  get isUnlucky() {
    return this.failures.size > this.unable.size;
  }

  /** Gives those another chance.
   *  @param {boolean} all also those that do not play this codec @param {number} now ms
   *  @returns {boolean} whether the best engine is to be used from now on */
  forgive(all, now) {
    if (this.failedAt <= 0 || now - this.failedAt <= this.forgiveAfter) return false;
    if (all) this.unable.clear();
    for (const name of this.failures.keys()) {
      if (!this.unable.has(name)) this.failures.delete(name);
    }
    this.failedAt = 0;
    this.forgiveAfter = Math.min(2 * this.forgiveAfter, FORGIVE_LAST);
    return true;
  }

  /** Why no engine can show the track, for a person; "" where one can. @returns {string} */
  get sentence() {
    if (this.best !== null) return "";
    const reasons = [...new Set(this.failures.values())].join("; ");
    return `This browser cannot show this camera (${reasons}). Try another browser or another camera.`;
  }
}
