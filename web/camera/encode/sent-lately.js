// What an engine has sent in the last two seconds, for its numbers.

import { median } from "../../shared/median.js";

/** Milliseconds over which is counted, and which are taken for granted right after the start. */
const WINDOW = 2000;
const LEAST_WINDOW = 500;

/** Pictures in that time below which their distance tells the rate. */
const FEW = 3;

/** Entries kept at most, whatever happens: 60 pictures a second in four blobs each. */
const MOST_ENTRIES = 480;

export class Recent {
  constructor() {
    this.startedAt = performance.now();
    /** @type {{at: number, bytes: number, picture: boolean, delay: number | null}[]} */
    this.entries = [];
    /** When the last picture was sent, and ms between it and the one before; 0: there was none. */
    this.pictureAt = this.gap = 0;
  }

  /** Begins to count afresh. */
  restart() {
    this.startedAt = performance.now();
    this.entries = [];
    this.pictureAt = this.gap = 0;
  }

  /**
   * @param {number} bytes sent just now
   * @param {boolean} picture whether a picture begins with them
   * @param {number | null} delay ms from the capture until now, where it is known
   */
  add(bytes, picture, delay) {
    const now = performance.now();
    this.entries.push({ at: now, bytes, picture, delay });
    if (picture) {
      if (this.pictureAt > 0) this.gap = now - this.pictureAt;
      this.pictureAt = now;
    }
    while (now - this.entries[0].at > WINDOW || this.entries.length > MOST_ENTRIES)
      this.entries.shift();
  }

  /** @returns {{fps: number, bitsPerSecond: number, delay: number | null}} delay: the median, ms */
  count() {
    const now = performance.now();
    const window = Math.min(WINDOW, Math.max(LEAST_WINDOW, now - this.startedAt));
    let bytes = 0;
    let pictures = 0;
    const delays = [];
    for (const entry of this.entries) {
      if (now - entry.at > window) continue;
      bytes += entry.bytes;
      if (entry.picture) pictures += 1;
      if (entry.delay !== null) delays.push(entry.delay);
    }
    // Of a slow lens, a picture more or less in two seconds says little.
    const fps =
      pictures < FEW && this.gap > 0
        ? 1000 / Math.max(this.gap, now - this.pictureAt)
        : (pictures * 1000) / window;
    return { fps, bitsPerSecond: (bytes * 8000) / window, delay: median(delays) };
  }
}
