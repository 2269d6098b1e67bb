// When a track's pictures or samples were captured, on this page's own clock (performance.now()).
//
// A track counts from any zero, and its clock may drift. But nothing arrives before it was
// captured, so "arrival minus timestamp" is never less than the distance between the two clocks,
// and the smallest difference is the best estimate of it: the same thought as in
// drawercam/media/timeline.py and in NTP's clock filter (RFC 5905 section 10).

/** Milliseconds over which the smallest difference is taken before it may raise the estimate. */
const WINDOW = 5000;

/**
 * The estimate rises by at most this much of the time that passes: twenty times the drift of a poor
 * quartz, too slow to be seen.
 */
const SLEW = 1 / 500;

/**
 * Above this difference (ms) the track's clock has stood still or begun afresh, and the estimate is
 * set anew: sources keep less than that in reserve (video-frames.js, audio-samples.js), and should
 * it have been this page that stood still, the next arrival sets it right.
 */
const STEP = 500;

export class CaptureClock {
  constructor() {
    /** @type {number | null} */
    this.offset = null;
    this.windowBegan = 0;
    this.windowLeast = 0;
  }

  /**
   * Learns from something that was complete at `timestamp` and arrived at `arrival`.
   * @param {number} timestamp ms on the track's clock
   * @param {number} arrival ms, performance.now()
   * @returns {number} when it was complete: ms on the clock of performance.now(), never later than
   *   its arrival
   */
  place(timestamp, arrival) {
    const difference = arrival - timestamp;
    if (this.offset === null || difference < this.offset || difference > this.offset + STEP) {
      this.offset = difference;
      this.windowBegan = arrival;
      this.windowLeast = difference;
      return arrival;
    }
    this.windowLeast = Math.min(this.windowLeast, difference);
    const passed = arrival - this.windowBegan;
    if (passed >= WINDOW) {
      this.offset += Math.min(this.windowLeast - this.offset, passed * SLEW);
      this.windowBegan = arrival;
      this.windowLeast = difference;
    }
    return timestamp + this.offset;
  }
}
