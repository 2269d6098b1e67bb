// A camera's own stream as WebM (docs/protocol.md, "Streams from a camera"): one Cluster and one
// SimpleBlock for each frame, in the same 27 bytes as the relay's frame messages. Its timestamps
// are microseconds: its header says so.

import {
  CLUSTER_ID,
  TIMESTAMP_ID_AND_SIZE,
  SIMPLE_BLOCK_ID,
  VINT_MARK,
  TRACK_MARK,
  KEYFRAME_FLAG,
  HEADER_SIZE,
  CLUSTER_HEAD,
  BLOCK_HEAD,
} from "../../shared/frames/webm-frame.js";

/**
 * Bytes before the frame in a message of the writer: the stream's number stands in front of the
 * Cluster.
 */
const MESSAGE_HEAD = 1 + HEADER_SIZE;

/** The only track of the writer's streams. */
const TRACK_NUMBER = 1;

/** Nanoseconds in a tick (RFC 9559 5.1.2.9): a microsecond, what WebCodecs counts in. */
const TIMESTAMP_SCALE = 1000;

/** A Segment of unknown size, as of a stream that has no end (RFC 9559 5.1.1 and RFC 8794 6.2). */
const ENDLESS_SEGMENT = [0x18, 0x53, 0x80, 0x67, 0x01, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff];

/**
 * What a header says of its track. codec: Matroska's identifier, such as V_VP8
 * (draft-ietf-cellar-codec); config: CodecPrivate. rotation, flip: as VideoFrame has them; color:
 * as its VideoColorSpace says, where that is known.
 * @typedef {{codec: string, width: number, height: number, rotation: number, flip: boolean, color:
 *             VideoColorSpaceInit | null, config?: Uint8Array}} PictureTrack
 * @typedef {{codec: string, sampleRate: number, channels: number, config?: Uint8Array}} SoundTrack
 */

/**
 * WebCodecs' words for primaries, transfer and matrix, as Matroska counts them (ISO/IEC 23091-2),
 * by the element's ID.
 */
const COLOURS = /** @type {const} */ ([
  [0x55bb, "primaries", { bt709: 1, bt470bg: 5, smpte170m: 6, bt2020: 9, smpte432: 12 }],
  [0x55ba, "transfer", { bt709: 1, smpte170m: 6, linear: 8, "iec61966-2-1": 13, pq: 16, hlg: 18 }],
  [0x55b1, "matrix", { rgb: 0, bt709: 1, bt470bg: 5, smpte170m: 6, "bt2020-ncl": 9 }],
]);

/**
 * @param {number} id
 * @param {ArrayLike<number>} payload
 * @returns {number[]} an element with a 4-byte size
 */
function element(id, payload) {
  const bytes = [];
  for (let shift = 24; shift >= 0; shift -= 8) if (id >>> shift) bytes.push((id >>> shift) & 0xff);
  const size = payload.length;
  return bytes.concat(
    0x10 | (size >>> 24),
    (size >>> 16) & 0xff,
    (size >>> 8) & 0xff,
    size & 0xff,
    Array.from(payload),
  );
}

/** @param {number} value below 2 ** 32 */
function unsigned(value) {
  return [value >>> 24, (value >>> 16) & 0xff, (value >>> 8) & 0xff, value & 0xff];
}

/** @param {string} value ASCII */
function text(value) {
  return Array.from(value, (letter) => letter.charCodeAt(0));
}

/** @param {number} value */
function float(value) {
  // Every browser's machine is little-endian.
  return new Uint8Array(Float64Array.of(value).buffer).reverse();
}

/**
 * How pictures are turned (RFC 9559, Projection): a yaw of half a turn mirrors them, then they roll
 * counter-clockwise. A VideoFrame is rotated first and mirrored then, so what is mirrored rolls the
 * other way.
 * @param {PictureTrack} track
 * @returns {number[]} nothing for those that lie as they are seen
 */
function projection({ rotation, flip }) {
  if (!rotation && !flip) return [];
  const roll = flip ? rotation : -rotation;
  return element(0x7670, [
    ...element(0x7671, [0]), // ProjectionType: rectangular
    ...element(0x7673, float(flip ? 180 : 0)), // ProjectionPoseYaw
    // ProjectionPoseRoll.
    ...element(0x7675, float(roll > 180 ? roll - 360 : roll < -180 ? roll + 360 : roll)),
  ]);
}

/**
 * What the colours mean (RFC 9559, Colour).
 * @param {PictureTrack} track
 * @returns {number[]} nothing where nothing is known
 */
function colour({ color }) {
  if (!color) return [];
  const known = [];
  for (const [id, name, codes] of COLOURS) {
    const code = /** @type {{[word: string]: number}} */ (codes)[color[name] || ""];
    if (code !== undefined) known.push(...element(id, [code]));
  }
  // Range.
  if (typeof color.fullRange === "boolean")
    known.push(...element(0x55b9, [color.fullRange ? 2 : 1]));
  return element(0x55b0, known);
}

/**
 * The beginning of a stream: EBML header, Segment of unknown size, Info, Tracks.
 * @param {number} stream number of the stream, 1 to 8; it stands in front
 * @param {PictureTrack | SoundTrack} track
 * @returns {ArrayBuffer} one message to the relay
 */
export function webmHeader(stream, track) {
  const media =
    "width" in track
      ? // PixelWidth, PixelHeight.
        element(0xe0, [
          ...element(0xb0, unsigned(track.width)),
          ...element(0xba, unsigned(track.height)),
          ...projection(track),
          ...colour(track),
        ])
      : // Rate, Channels.
        element(0xe1, [
          ...element(0xb5, float(track.sampleRate)),
          ...element(0x9f, unsigned(track.channels)),
        ]);
  const entry = [
    ...element(0xd7, [TRACK_NUMBER]), // TrackNumber
    ...element(0x73c5, [TRACK_NUMBER]), // TrackUID
    ...element(0x83, ["width" in track ? 1 : 2]), // TrackType
    ...element(0x9c, [0]), // FlagLacing
    ...element(0x86, text(track.codec)), // CodecID
    ...(track.config ? element(0x63a2, track.config) : []), // CodecPrivate
    ...media,
  ];
  const versions = [
    ...element(0x4286, [1]),
    ...element(0x42f7, [1]),
    ...element(0x42f2, [4]),
    ...element(0x42f3, [8]),
  ];
  const info = [
    ...element(0x2ad7b1, unsigned(TIMESTAMP_SCALE)), // TimestampScale
    ...element(0x4d80, text("drawercam")), // MuxingApp
    ...element(0x5741, text("drawercam")), // WritingApp
  ];
  return Uint8Array.of(
    stream,
    // EBML.
    ...element(0x1a45dfa3, [
      ...versions,
      ...element(0x4282, text("webm")),
      ...element(0x4287, [4]),
      ...element(0x4285, [2]),
    ]),
    ...ENDLESS_SEGMENT,
    ...element(0x1549a966, info), // Info
    ...element(0x1654ae6b, element(0xae, entry)), // Tracks, TrackEntry
  ).buffer;
}

/**
 * One frame, copied once: from the encoder into the message that goes to the relay.
 * @param {number} stream number of the stream, 1 to 8; it stands in front
 * @param {number} timestamp µs since the stream's zero, 0 or more
 * @param {boolean} key
 * @param {{byteLength: number, copyTo: (target: Uint8Array) => void}} chunk an EncodedVideoChunk or
 *   EncodedAudioChunk
 * @returns {ArrayBuffer} one message to the relay
 */
export function webmFrame(stream, timestamp, key, chunk) {
  const size = MESSAGE_HEAD + chunk.byteLength;
  const message = new ArrayBuffer(size);
  const view = new DataView(message);
  view.setUint8(0, stream);
  view.setUint32(1, CLUSTER_ID);
  view.setUint32(5, VINT_MARK | (size - 1 - CLUSTER_HEAD));
  view.setUint16(9, TIMESTAMP_ID_AND_SIZE);
  view.setUint32(11, Math.floor(timestamp / 2 ** 32));
  view.setUint32(15, timestamp % 2 ** 32);
  view.setUint8(19, SIMPLE_BLOCK_ID);
  view.setUint32(20, VINT_MARK | (size - 1 - BLOCK_HEAD));
  view.setUint8(24, TRACK_MARK | TRACK_NUMBER);
  // The two bytes before it, the relative timestamp, are 0.
  view.setUint8(27, key ? KEYFRAME_FLAG : 0);
  chunk.copyTo(new Uint8Array(message, MESSAGE_HEAD));
  return message;
}
