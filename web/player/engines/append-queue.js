// What waits for the SourceBuffer of one track: init segments and frame messages, in the order in
// which they are appended.
//
//   queue.init(mime, data) queue.frame(time, message)
//   queue.next(mime)            // what may be appended together now, as bytes
//   queue.taken()               // the browser has taken that: the times of its frames

import { Durations, joined, lasting } from "./durations.js";

/**
 * Bytes that may wait for the SourceBuffer, whatever happens. What waits rightly is a replay from
 * the last keyframe at most.
 */
const QUEUE_LIMIT = 16 * 1024 * 1024;

export class AppendQueue {
  /** @param {boolean} isVideo pictures are told how long they last */
  constructor(isVideo) {
    this.isVideo = isVideo;
    /** `mime` is set on init segments, `time` (s) on frames.
     *  @type {{mime: string | null, time: number, data: ArrayBuffer}[]} */
    this.entries = [];
    this.bytes = 0;
    this.durations = new Durations();
    /** The first of the entries as they are appended, while the browser has no room.
     *  @type {Uint8Array<ArrayBuffer>[] | null} */
    this.pending = null;
  }

  /** Of the track whose init segment comes first; null where it is that of the one before.
   *  @returns {string | null} */
  get mime() {
    return this.entries[0].mime;
  }

  get isEmpty() {
    return this.entries.length === 0;
  }

  /** Frames that wait. */
  get frames() {
    return this.entries.filter((entry) => entry.mime === null);
  }

  /** Seconds from the first frame that waits to the last. */
  get seconds() {
    const { frames } = this;
    return frames.length === 0 ? 0 : frames[frames.length - 1].time - frames[0].time;
  }

  /** @param {number} size bytes @returns {boolean} whether so much more may wait */
  hasRoom(size) {
    return this.bytes + size <= QUEUE_LIMIT;
  }

  /** @param {string} mime @param {ArrayBuffer} data */
  init(mime, data) {
    this.entries.push({ mime, time: 0, data });
    this.bytes += data.byteLength;
  }

  /** @param {number} time seconds @param {ArrayBuffer} data a frame message */
  frame(time, data) {
    this.entries.push({ mime: null, time, data });
    this.bytes += data.byteLength;
  }

  /** @param {string} mime of the SourceBuffer
   *  @returns {Uint8Array<ArrayBuffer>} what waits first, as much as may be appended together; the
   *  same again until it is taken */
  next(mime) {
    if (!this.pending) this.pending = this._parts(mime);
    return joined(this.pending);
  }

  /** What `next` gave is in the buffer. @returns {number[]} seconds of its frames */
  taken() {
    const { pending } = this;
    this.pending = null;
    const gone = this.entries.splice(0, pending ? pending.length : 0);
    this.bytes -= sizeOf(gone);
    return gone.filter((entry) => entry.mime === null).map((entry) => entry.time);
  }

  /** Throws away all that waits but the beginning of the track.
   *  @returns {number} how many frames that were */
  drop() {
    const dropped = this.frames.length;
    this.entries = this.entries.filter((entry) => entry.mime !== null).slice(-1);
    this.pending = null;
    this.bytes = sizeOf(this.entries);
    return dropped;
  }

  /** @param {string} mime */
  _parts(mime) {
    const parts = [];
    for (const [index, { mime: other, time, data }] of this.entries.entries()) {
      if (other !== null && other !== mime) break;
      if (other !== null || !this.isVideo) {
        parts.push(new Uint8Array(data));
        continue;
      }
      const alone = this.durations.overlaps(time);
      if (alone && parts.length > 0) break;
      const following = this.entries[index + 1];
      parts.push(
        lasting(
          data,
          this.durations.of(time, following && following.mime === null ? following.time : null),
        ),
      );
      if (alone) break;
    }
    return parts;
  }
}

/** @param {{data: ArrayBuffer}[]} entries @returns {number} bytes */
function sizeOf(entries) {
  return entries.reduce((sum, entry) => sum + entry.data.byteLength, 0);
}
