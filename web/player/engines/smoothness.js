// Which share of the pictures that came was shown, counted from time to time while nothing disturbs
// the count.

/** Counted over so many ms, if there were enough pictures. */
const SMOOTH_INTERVAL = 1500;
const SMOOTH_LEAST = 8;

/** Since it began: frames given to the element, pictures that it has shown, and jumps of its clock.
 *  @typedef {{fed: number, shown: number, jumps: number}} Counts */

export class Smoothness {
  constructor() {
    this.counts = { fed: 0, shown: 0, jumps: 0 };
    this.at = 0;
    this.unseenAt = -Infinity;
  }

  /** Just now nobody can see the pictures, and browsers show fewer. @param {number} now ms */
  unseen(now) {
    this.unseenAt = now;
  }

  /** @param {number} now ms @returns {boolean} whether it is time to count */
  due(now) {
    return now - this.at >= SMOOTH_INTERVAL;
  }

  /**
   * @param {Counts} counts
   * @param {number} upset ms: when a jump, a freeze or a fresh start made the last trouble
   * @param {number} now ms
   * @returns {number | null} the share since the last count; null where it says nothing
   */
  count(counts, upset, now) {
    const { at, counts: before } = this;
    this.at = now;
    this.counts = counts;
    const fed = counts.fed - before.fed;
    const jumped = counts.jumps !== before.jumps || at < upset + SMOOTH_INTERVAL;
    const disturbed = jumped || this.unseenAt >= at;
    if (disturbed || now - at >= 2 * SMOOTH_INTERVAL || fed < SMOOTH_LEAST) return null;
    return (counts.shown - before.shown) / fed;
  }
}
