// WebM with one known-size Cluster (RFC 9559 5.1.3) and one SimpleBlock for each frame: the frame
// messages of docs/protocol.md ("Tracks to a player"). The relay always writes the same 27 bytes in
// front of a frame, so this checks them where they must be and walks no tree.

/**
 * One frame as it comes from the relay. number: 1 video, 2 audio; timestamp: presentation time, µs
 * of the relay's clock; duration: µs, 0 where the message does not tell; key: decoding can start
 * here; data: the frame, a view into the message.
 * @typedef {{number: number, timestamp: number, duration: number, key: boolean, data: Uint8Array}}
 *   Frame
 */

export const CLUSTER_ID = 0x1f43b675;
export const TIMESTAMP_ID_AND_SIZE = 0xe788;
export const SIMPLE_BLOCK_ID = 0xa3;

/** Marker bit and value bits of a 4-byte VINT (RFC 8794 4). */
export const VINT_MARK = 0x10000000;
const VINT_BITS = 0x0fffffff;

/** The track number is a 1-byte VINT. */
export const TRACK_MARK = 0x80;

export const KEYFRAME_FLAG = 0x80;

/**
 * Bytes before the first payload; bytes before the end of the Cluster's and the SimpleBlock's size
 * field.
 */
export const HEADER_SIZE = 27;
export const CLUSTER_HEAD = 8;
export const BLOCK_HEAD = 23;

/** Where the Cluster's size, the SimpleBlock and its flags stand. */
export const CLUSTER_SIZE_AT = 4;
export const BLOCK_AT = 18;
export const FLAGS_AT = 26;

/**
 * @param {DataView} view
 * @param {number} offset
 * @returns {number} the value, or -1 where no 4-byte VINT stands
 */
function vint(view, offset) {
  const raw = view.getUint32(offset);
  return (raw & ~VINT_BITS) === VINT_MARK ? raw & VINT_BITS : -1;
}

/** @param {ArrayBuffer} message @returns {boolean} whether it begins like a WebM frame message */
export function isWebmFrame(message) {
  return message.byteLength >= 4 && new DataView(message).getUint32(0) === CLUSTER_ID;
}

/**
 * @param {ArrayBuffer} message one frame message of a WebM track
 * @returns {Frame}
 * @throws {Error} when it is anything else
 */
export function readWebmFrame(message) {
  const size = message.byteLength;
  if (size < HEADER_SIZE)
    throw new Error(`WebM frame message: ${size} bytes are fewer than its header`);
  const view = new DataView(message);
  if (view.getUint32(0) !== CLUSTER_ID)
    throw new Error("WebM frame message: does not begin with a Cluster");
  if (vint(view, CLUSTER_SIZE_AT) !== size - CLUSTER_HEAD)
    throw new Error("WebM frame message: the Cluster's size is not the message's");
  if (view.getUint16(8) !== TIMESTAMP_ID_AND_SIZE)
    throw new Error("WebM frame message: no 8-byte Timestamp at byte 8");
  if (view.getUint8(BLOCK_AT) !== SIMPLE_BLOCK_ID)
    throw new Error("WebM frame message: no SimpleBlock at byte 18");
  if (vint(view, BLOCK_AT + 1) !== size - BLOCK_HEAD)
    throw new Error("WebM frame message: the SimpleBlock's size is not the rest of the message");
  const track = view.getUint8(BLOCK_HEAD);
  if (track <= TRACK_MARK) throw new Error("WebM frame message: no 1-byte track number at byte 23");
  if (view.getInt16(BLOCK_HEAD + 1) !== 0)
    throw new Error("WebM frame message: the block's relative timestamp is not 0");
  const milliseconds = view.getUint32(10) * 2 ** 32 + view.getUint32(14);
  return {
    number: track - TRACK_MARK,
    timestamp: milliseconds * 1000,
    duration: 0,
    key: (view.getUint8(FLAGS_AT) & KEYFRAME_FLAG) !== 0,
    data: new Uint8Array(message, HEADER_SIZE),
  };
}
