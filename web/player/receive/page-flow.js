// How many bytes of frames are on the way to the page, which may be too busy to take them.

/** Bytes on the way at most. */
const UNTAKEN_LIMIT = 16 * 1024 * 1024;

export class PageFlow {
  constructor() {
    this.posted = 0;
    this.taken = 0;
    this.starved = false; // frames for the page were left out
  }

  /** Whether nothing more is to be sent there now. */
  get isFull() {
    return this.posted - this.taken > UNTAKEN_LIMIT;
  }

  /** A frame is left out. */
  starve() {
    this.starved = true;
  }

  /** @param {number} bytes that go to the page */
  post(bytes) {
    this.posted += bytes;
  }

  /** @param {number} bytes that the page has taken so far
   *  @returns {boolean} whether what was left out can be fetched again */
  take(bytes) {
    this.taken = bytes;
    if (!this.starved || this.posted - bytes > UNTAKEN_LIMIT / 2) return false;
    this.starved = false;
    return true;
  }
}
