// What is in a SourceBuffer: its ranges of time, and the keyframes at which it may be cut.

/**
 * Keyframes that are remembered, whatever happens: with four a second, more than a minute of them.
 */
const MOST_KEYS = 256;

/** A hole between two buffered ranges is jumped when the clock is this near (s) to its edge. */
const EDGE = 0.1;

/** The keyframes of one buffer: a cut elsewhere would take everything up to the next one with it
 *  (Media Source Extensions, coded frame removal). */
export class Keyframes {
  constructor() {
    /** Seconds. @type {number[]} */
    this.times = [];
  }

  /** Seconds of the last one. */
  get last() {
    return this.times.length > 0 ? this.times[this.times.length - 1] : -Infinity;
  }

  /** Seconds between the last two. */
  get spacing() {
    const { times } = this;
    return times.length > 1 ? times[times.length - 1] - times[times.length - 2] : Infinity;
  }

  /** @param {number} time seconds; what was behind it is replaced by it and what follows */
  add(time) {
    this.times = this.times.filter((key) => key < time).slice(1 - MOST_KEYS);
    this.times.push(time);
  }

  /** Where to cut off what is old; it is forgotten then.
   *  @param {TimeRanges} buffered @param {number} moment seconds
   *  @returns {number | null} seconds of the last keyframe up to that moment; null: nothing is
   *  before it */
  cut(buffered, moment) {
    const past = this.times.filter((key) => key <= moment);
    const cut = past[past.length - 1];
    if (cut === undefined || buffered.length === 0 || cut <= buffered.start(0)) return null;
    this.times = this.times.slice(past.length - 1);
    return cut;
  }
}

/** @param {TimeRanges} buffered @param {number} clock seconds @returns {boolean} */
export function isBuffered(buffered, clock) {
  for (let index = 0; index < buffered.length; index += 1) {
    if (buffered.start(index) <= clock && clock < buffered.end(index)) return true;
  }
  return false;
}

/** @param {TimeRanges} buffered @param {number} clock seconds
 *  @returns {boolean} whether no frame is, or will be, where the clock stands, but later ones
 *  are */
export function isInHole(buffered, clock) {
  if (clock < buffered.start(0) - EDGE) return true;
  for (let index = 0; index < buffered.length - 1; index += 1) {
    if (clock > buffered.end(index) - EDGE && clock < buffered.start(index + 1)) return true;
  }
  return false;
}
