// How long a picture lasts, told to MediaSource.
//
// Nobody knows how long a live picture lasts before the next one has come. A browser that is not
// told guesses, and the guess does harm in three ways: after a gap of more than twice a picture's
// duration all is thrown away up to the next keyframe (Media Source Extensions, "coded frame
// processing"), which a camera in dim light at 5 pictures a second meets all the time; Chrome stops
// its clock when a picture's duration is over; and WebKitGTK begins its times anew. A picture that
// "lasts" several times as long does none of this: it stands until the next one replaces it,
// however late that comes.
//
// But not too long: Firefox keeps a decoded picture until its duration is over, ten of them at
// most, and decodes no other one meanwhile. So a picture lasts as long as the last seven together.
// And where the next one is here already, just up to that: of several pictures in one append that
// overlap, Firefox throws away all up to the next keyframe. One that overlaps must be appended
// alone.

import { DURATION_AT, isMp4Frame } from "../../shared/frames/mp4-frame.js";
import {
  BLOCK_AT,
  BLOCK_HEAD,
  CLUSTER_HEAD,
  CLUSTER_SIZE_AT,
  FLAGS_AT,
  KEYFRAME_FLAG,
  VINT_MARK,
} from "../../shared/frames/webm-frame.js";

/** Pictures whose time together is the duration of one. */
const SPAN = 7;

/**
 * Seconds: at least, so that a hiccup leaves no hole; at most (a camera that is silent for longer
 * than twice this begins again with a keyframe).
 */
const SHORTEST = 0.1;
const LONGEST = 1;

/** Seconds, while nothing is known: an encoder may need so long again for its second picture. */
const FIRST = 0.25;

/**
 * Seconds that a picture may last when the one after it is known: what fits into 2 bytes of
 * milliseconds.
 */
const LONGEST_KNOWN = 60;

/** Seconds that are no overlap. */
const ROUNDING = 1e-5;

// A WebM frame message (docs/protocol.md) has a SimpleBlock, which cannot have a duration; a
// BlockGroup can (RFC 9559 5.1.3.5).
const BLOCK_GROUP = 0xa0;
const BLOCK = 0xa1;

/** ID and size of a BlockDuration of 2 bytes, in milliseconds. */
const BLOCK_DURATION = [0x9b, 0x82];

/** A ReferenceBlock: no keyframe. Which frame it refers to is of no interest to a decoder. */
const REFERENCE = [0xfb, 0x81, 0xff];

/** Knows how long the pictures of one track last. */
export class Durations {
  constructor() {
    /** Seconds of the last pictures. @type {number[]} */
    this.times = [];
    /** Seconds at which the pictures so far end. */
    this.end = -Infinity;
  }

  /**
   * @param {number} time seconds: the next picture's
   * @returns {boolean} whether it replaces one that was said to last longer
   */
  overlaps(time) {
    return !this.isReplay(time) && time < this.end - ROUNDING;
  }

  /**
   * @param {number} time seconds: the next picture's
   * @param {number | null} following seconds: that of the one after it, where it is here already
   * @returns {number} seconds that the picture should last
   */
  of(time, following) {
    const { times } = this;
    if (this.isReplay(time)) {
      times.length = 0;
      this.end = -Infinity;
    }
    times.push(time);
    if (times.length > SPAN + 1) times.shift();
    const span = times.length < 2 ? FIRST : ((time - times[0]) / (times.length - 1)) * SPAN;
    const guess = Math.min(LONGEST, Math.max(SHORTEST, span));
    const duration =
      following === null || following <= time ? guess : Math.min(LONGEST_KNOWN, following - time);
    this.end = Math.max(this.end, time + duration);
    return duration;
  }

  /** @param {number} time seconds */
  isReplay(time) {
    return this.times.length > 0 && time < this.times[this.times.length - 1];
  }
}

/**
 * A frame message whose picture lasts so long.
 * @param {ArrayBuffer} message of docs/protocol.md; of MP4 it is changed in place
 * @param {number} seconds
 * @returns {Uint8Array<ArrayBuffer>}
 */
export function lasting(message, seconds) {
  const old = new Uint8Array(message);
  if (isMp4Frame(message)) {
    new DataView(message).setUint32(DURATION_AT, Math.round(seconds * 1e6));
    return old;
  }
  const block = old.subarray(BLOCK_HEAD);
  const milliseconds = Math.round(seconds * 1000);
  const reference = old[FLAGS_AT] & KEYFRAME_FLAG ? [] : REFERENCE;
  const tail = [...BLOCK_DURATION, milliseconds >> 8, milliseconds & 0xff, ...reference];
  const group = 5 + block.length + tail.length;
  const bytes = new Uint8Array(BLOCK_AT + 5 + group);
  const view = new DataView(bytes.buffer);
  bytes.set(old.subarray(0, BLOCK_AT));
  view.setUint32(CLUSTER_SIZE_AT, VINT_MARK | (bytes.length - CLUSTER_HEAD));
  bytes[BLOCK_AT] = BLOCK_GROUP;
  view.setUint32(BLOCK_AT + 1, VINT_MARK | group);
  bytes[BLOCK_HEAD] = BLOCK;
  view.setUint32(BLOCK_HEAD + 1, VINT_MARK | block.length);
  const blockAt = BLOCK_HEAD + 5;
  bytes.set(block, blockAt);
  bytes[blockAt + FLAGS_AT - BLOCK_HEAD] &= ~KEYFRAME_FLAG; // reserved in a Block
  bytes.set(tail, blockAt + block.length);
  return bytes;
}

/** @param {Uint8Array<ArrayBuffer>[]} parts @returns {Uint8Array<ArrayBuffer>} */
export function joined(parts) {
  if (parts.length === 1) return parts[0];
  const whole = new Uint8Array(parts.reduce((sum, part) => sum + part.byteLength, 0));
  let offset = 0;
  for (const part of parts) {
    whole.set(part, offset);
    offset += part.byteLength;
  }
  return whole;
}
