// What was left out lately, from counts of what was left out in all.

/** Milliseconds for which it is said that pictures were left out. */
const LATELY = 10000;

/** Milliseconds between two moments at least: fifty are remembered at most. */
const STEP = 200;

export class Drops {
  constructor() {
    /** @type {{at: number, dropped: import("../encode/media-recorder.js").Dropped}[]} */
    this.moments = [];
  }

  /**
   * @param {import("../encode/media-recorder.js").Dropped} dropped in all
   * @param {number} now ms
   * @returns {import("../encode/media-recorder.js").Dropped} in the last ten seconds
   */
  lately(dropped, now) {
    const last = this.moments[this.moments.length - 1];
    // Fewer than before: another engine counts.
    if (last && (dropped.network < last.dropped.network || dropped.encoder < last.dropped.encoder))
      this.moments = [];
    if (this.moments.length === 0 || now - this.moments[this.moments.length - 1].at >= STEP)
      this.moments.push({ at: now, dropped });
    while (now - this.moments[0].at > LATELY) this.moments.shift();
    const { network, encoder } = this.moments[0].dropped;
    return { network: dropped.network - network, encoder: dropped.encoder - encoder };
  }
}
