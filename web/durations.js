// How long a picture lasts, told to MediaSource as a second.
//
// Nobody knows how long a live picture lasts before the next one has come. A browser that is not told guesses, and the guess does harm in
// three ways: after a gap of more than twice a picture's duration all is thrown away up to the next keyframe (Media Source Extensions,
// "coded frame processing"), which a camera in dim light at 5 pictures a second meets all the time; Chrome stops its clock when a picture's
// duration is over; and Firefox wants 250 ms of pictures ahead. A picture that "lasts" a second does none of this: it stands until the next
// one replaces it, however late that comes.

import { isMp4Frame } from "./mp4.js";

/** Seconds. A camera that is silent for longer than twice this begins again with a keyframe anyway. */
const LONG = 1;

const NANOSECONDS = 1e9;
const MICROSECONDS = 1e6;

// EBML and Matroska elements (RFC 8794, RFC 9559).
const EBML = 0x1a45dfa3;
const SEGMENT = 0x18538067;
const TRACKS = 0x1654ae6b;
const TRACK_ENTRY = 0xae;

/** ID and size of a DefaultDuration (RFC 9559 5.1.4.1.13) of 8 bytes. */
const DEFAULT_DURATION = [0x23, 0xe3, 0x83, 0x88];

/** Where trun has the sample's duration in an MP4 frame message (docs/protocol.md). */
const TRUN_DURATION = 92;

/** @param {DataView} view @param {number} offset @returns {{id: number, idLength: number, size: number, sizeLength: number, begin: number}} */
function elementAt(view, offset) {
  const idLength = Math.clz32(view.getUint8(offset)) - 23;
  let id = 0;
  for (let i = 0; i < idLength; i += 1) id = id * 256 + view.getUint8(offset + i);
  const at = offset + idLength;
  const sizeLength = Math.clz32(view.getUint8(at)) - 23;
  let size = view.getUint8(at) & (0xff >> sizeLength);
  for (let i = 1; i < sizeLength; i += 1) size = size * 256 + view.getUint8(at + i);
  return { id, idLength, size, sizeLength, begin: at + sizeLength };
}

/** @param {number} id @param {number[] | Uint8Array} payload @returns {Uint8Array} an element with a size of 4 bytes */
function element(id, payload) {
  const name = [];
  for (let rest = id; rest > 0; rest = Math.floor(rest / 256)) name.unshift(rest % 256);
  const size = payload.length;
  const whole = new Uint8Array(name.length + 4 + size);
  whole.set([...name, 0x10 | (size >>> 24), (size >>> 16) & 0xff, (size >>> 8) & 0xff, size & 0xff]);
  whole.set(payload, name.length + 4);
  return whole;
}

/**
 * The init segment of a video track, with the duration in it where its container keeps it there.
 * @param {ArrayBuffer} init as it came from the relay: of WebM, Tracks is the last element and has one TrackEntry
 * @returns {Uint8Array}
 */
export function lastLong(init) {
  const bytes = new Uint8Array(init);
  const view = new DataView(init);
  if (init.byteLength < 4 || view.getUint32(0) !== EBML) return bytes;
  for (let offset = 0; offset < bytes.length; ) {
    const { id, size, begin } = elementAt(view, offset);
    if (id === TRACKS) {
      const entry = elementAt(view, begin);
      if (entry.id !== TRACK_ENTRY) return bytes;
      const duration = new Uint8Array(DEFAULT_DURATION.length + 8);
      duration.set(DEFAULT_DURATION);
      new DataView(duration.buffer).setUint32(DEFAULT_DURATION.length + 4, LONG * NANOSECONDS);
      const old = bytes.subarray(entry.begin, entry.begin + entry.size);
      const tracks = element(TRACKS, element(TRACK_ENTRY, joined([old, duration])));
      return joined([bytes.subarray(0, offset), tracks]);
    }
    offset = id === SEGMENT ? begin : begin + size;
  }
  return bytes;
}

/** The same for a frame message, which is changed in place. @param {ArrayBuffer} message @returns {Uint8Array} */
export function lastsLong(message) {
  if (isMp4Frame(message)) new DataView(message).setUint32(TRUN_DURATION, LONG * MICROSECONDS);
  return new Uint8Array(message);
}

/** @param {Uint8Array[]} parts @returns {Uint8Array} */
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
