// Reads the MP4 frame messages of docs/protocol.md ("Tracks to a player"): one moof of 104 bytes
// with one sample, then its mdat (ISO/IEC 14496-12 8.8). Every box stands at a fixed offset; this
// checks each one where it must be.

/** @typedef {import("./webm-frame.js").Frame} Frame */

/** Offset, size and type of every box of the message, but for the size of `mdat`. */
const LAYOUT = [
  [0, 104, "moof"],
  [8, 16, "mfhd"],
  [24, 80, "traf"],
  [32, 20, "tfhd"],
  [52, 20, "tfdt"],
  [72, 32, "trun"],
];

const MDAT = 104;

/** Where trun has the sample's duration, µs. */
export const DURATION_AT = 92;
const HEADER_SIZE = 112;

/**
 * Version and flags, which say what fields a box has. 8.8.7: default-base-is-moof,
 * default-sample-flags. 8.8.12: 64-bit time. 8.8.8: signed composition offset; data offset, and the
 * sample's duration, size and composition offset.
 */
const TFHD_FLAGS = 0x00020020;
const TFDT_VERSION_1 = 0x01000000;
const TRUN_FLAGS = 0x01000b01;

/** The sample_is_non_sync_sample bit of sample flags (8.8.3.1). */
const NON_SYNC = 0x00010000;

/**
 * @param {DataView} view
 * @param {number} offset of the box
 * @returns {string} its four characters
 */
function boxType(view, offset) {
  return String.fromCharCode(
    view.getUint8(offset + 4),
    view.getUint8(offset + 5),
    view.getUint8(offset + 6),
    view.getUint8(offset + 7),
  );
}

/** @param {ArrayBuffer} message @returns {boolean} whether it begins like an MP4 frame message */
export function isMp4Frame(message) {
  return message.byteLength >= 8 && boxType(new DataView(message), 0) === "moof";
}

/**
 * @param {ArrayBuffer} message one frame message of an MP4 track
 * @returns {Frame}
 * @throws {Error} when it is anything else
 */
export function readMp4Frame(message) {
  const size = message.byteLength;
  if (size < HEADER_SIZE)
    throw new Error(`MP4 frame message: ${size} bytes are fewer than its header`);
  const view = new DataView(message);
  for (const [offset, length, type] of /** @type {[number, number, string][]} */ (LAYOUT)) {
    if (boxType(view, offset) !== type)
      throw new Error(`MP4 frame message: no ${type} at byte ${offset}`);
    if (view.getUint32(offset) !== length)
      throw new Error(`MP4 frame message: ${type} is not ${length} bytes long`);
  }
  if (boxType(view, MDAT) !== "mdat") throw new Error(`MP4 frame message: no mdat at byte ${MDAT}`);
  if (view.getUint32(MDAT) !== size - MDAT)
    throw new Error("MP4 frame message: the size of mdat is not the rest of the message");
  if (view.getUint32(40) !== TFHD_FLAGS)
    throw new Error("MP4 frame message: tfhd has other fields");
  if (view.getUint32(60) !== TFDT_VERSION_1)
    throw new Error("MP4 frame message: tfdt is not version 1");
  if (view.getUint32(80) !== TRUN_FLAGS)
    throw new Error("MP4 frame message: trun has other fields");
  if (view.getUint32(84) !== 1)
    throw new Error("MP4 frame message: trun has not exactly one sample");
  if (view.getUint32(96) !== size - HEADER_SIZE)
    throw new Error("MP4 frame message: the sample's size is not that of mdat");
  const decodeTime = view.getUint32(64) * 2 ** 32 + view.getUint32(68);
  return {
    number: view.getUint32(44),
    timestamp: decodeTime + view.getInt32(100),
    duration: view.getUint32(DURATION_AT),
    key: (view.getUint32(48) & NON_SYNC) === 0,
    data: new Uint8Array(message, HEADER_SIZE),
  };
}

/** "colr" with what follows it (ISO/IEC 14496-12 12.1.5), and a box that is passed over (8.1.2). */
const COLR = Array.from("colrnclx", (letter) => letter.charCodeAt(0));
const FREE = Array.from("free", (letter) => letter.charCodeAt(0));

/**
 * @param {ArrayBuffer} init an init segment of ours
 * @returns {ArrayBuffer} the same without what it says of the colours
 */
export function withoutColors(init) {
  const bytes = new Uint8Array(init.slice(0));
  const at = bytes.findIndex((_, place) =>
    COLR.every((letter, index) => bytes[place + index] === letter),
  );
  if (at >= 0) bytes.set(FREE, at);
  return bytes.buffer;
}
