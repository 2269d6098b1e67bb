// The WebCodecs engines: one for pictures, one for sound. What any engine is stands in
// media-recorder.js.
//
// What they can and a recorder cannot: each frame leaves by itself as soon as it is encoded, with
// the time at which it was captured; any picture can be a keyframe; and when the encoder or the
// network is behind, a picture is left out before it is encoded, so that what comes out can always
// be decoded and nothing waits in a queue.
//
// A frame's timestamp on the wire is its capture on the relay's clock, minus the stream's `at`.
// Therefore nothing is sent before the relay's clock is known, which is one round trip after the
// connection opens.

import { Pace } from "../lens/lens-pace.js";
import { Pictures, layOf } from "./video-frames.js";
import { Recent } from "./sent-lately.js";
import { bitrateFor, bitrateOf } from "./media-recorder.js";
import { mixDown, mixedChannels } from "./mixing.js";
import { Samples } from "./audio-samples.js";
import { webmFrame, webmHeader } from "./webm-writer.js";

/**
 * What an engine needs of the link.
 * @typedef {{at: (moment: number) => number | null, buffered: number}} LinkEnd
 */

/**
 * Milliseconds between two keyframes at most, and at least when they are asked for: each costs
 * about ten ordinary pictures.
 */
const KEYFRAME_INTERVAL = 2000;
const KEYFRAME_PAUSE = 150;

/** Pictures inside the encoder, one at work and one waiting, from which on it is behind. */
const MOST_INSIDE = 2;

/**
 * What may wait in this browser for the network: seconds of the bit rate, but at least bytes for
 * one keyframe.
 */
const MOST_WAITING = 0.15;
const ALWAYS_WAITING = 64 * 1024;

/**
 * Packets of sound inside the encoder, and what may wait for the network until sound is left out
 * too: it is thirty times smaller.
 */
const MOST_SOUND_INSIDE = 10;
const MOST_SOUND_WAITING = 4 * ALWAYS_WAITING;

/**
 * Milliseconds after which an encoder that gives nothing, or a source without a picture, counts as
 * stuck, unless the lens is slower; and between two looks.
 */
const SILENCE_LIMIT = 3000;
const LOOK_INTERVAL = 500;

/** So many failures within so many milliseconds end the engine. */
const MOST_FAILURES = 3;
const FAILURE_WINDOW = 10000;

/** Microseconds in a packet of sound: shorter ones cost more bytes, longer ones wait longer. */
const SOUND_PACKET = 20000;

/** Matroska's names of the codecs, by the beginning of WebCodecs' own (RFC 6381). */
const MATROSKA = { vp8: "V_VP8", vp09: "V_VP9", avc1: "V_MPEG4/ISO/AVC" };

/**
 * The configuration for pictures of a size.
 * @param {string} codec "vp8", "vp09.00.10.08" or "avc1.42E01F"
 * @param {{width: number, height: number, bitrate: number, framerate: number}} wanted
 * @returns {VideoEncoderConfig}
 */
export function videoConfig(codec, { width, height, bitrate, framerate }) {
  /** @type {any} */
  const config = { codec, width, height, bitrate, framerate, latencyMode: "realtime" };
  if (codec.startsWith("avc1")) {
    config.width = width - (width % 2); // H.264 with 4:2:0 has even sizes only
    config.height = height - (height % 2);
    // Parameter sets stand in front of each keyframe, so a new size needs no new header.
    config.avc = { format: "annexb" };
  }
  return config;
}

/** @param {MediaStreamTrack} track @returns {number} pictures per second */
export function rateOf(track) {
  return track.getSettings().frameRate || 30;
}

/** What both engines have in common: the stream on the wire, failures, and the numbers. */
class CodecEngine {
  /**
   * @param {number} number of the stream, 1 to 8
   * @param {import("./media-recorder.js").Output} output
   * @param {{link: LinkEnd}} options
   */
  constructor(number, output, { link }) {
    this.number = number;
    this.output = output;
    this.link = link;
    this.leavesOut = true;
    this.able = true;
    /** @type {MediaStreamTrack | null} */
    this.track = null;
    /** Whose pace is known. @type {MediaStreamTrack | null} */
    this.pacer = null;
    /** @type {any} a VideoEncoder or AudioEncoder */
    this.encoder = null;
    /** @type {{start: (track: MediaStreamTrack) => void, stop: () => void}} */
    this.source = { start() {}, stop() {} };
    this.mime = "";
    /** The relay's time of the stream's zero, µs, once it has begun. @type {number | null} */
    this.at = null;
    this.lastTimestamp = -1;
    this.recent = new Recent();
    this.restarts = 0;
    this.dropped = { encoder: 0, network: 0 };
    this.pace = new Pace();
    /** When it failed lately. @type {number[]} */
    this.failures = [];
    this.looker = 0;
    this.heardAt = 0;
    /** When the source gave something last, or had an excuse. */
    this.givenAt = 0;
    /**
     * Since when the encoder has had something and has given nothing; 0: it has given something
     * since.
     */
    this.fedAt = 0;
  }

  get running() {
    return this.track !== null;
  }

  /** @returns {import("./media-recorder.js").Stats} */
  get stats() {
    const { fps, bitsPerSecond, delay } = this.recent.count();
    return {
      fps: this.track && this.track.kind === "audio" ? null : fps,
      bitsPerSecond,
      delay,
      mime: this.mime,
      restarts: this.restarts,
      silence: this.running ? performance.now() - this.heardAt : 0,
      dropped: { encoder: this.dropped.encoder, network: this.dropped.network },
    };
  }

  /** @param {MediaStreamTrack} track a live one */
  start(track) {
    this.stop();
    if (track !== this.pacer) this.pace = new Pace();
    this.pace.interrupted();
    this.track = this.pacer = track;
    this.at = null;
    this.lastTimestamp = -1;
    this.failures = [];
    this.recent.restart();
    this.heardAt = this.givenAt = performance.now();
    this.looker = setInterval(() => this._look(), LOOK_INTERVAL);
    this.source.start(track);
  }

  stop() {
    clearInterval(this.looker);
    this.track = null;
    this.source.stop();
    this._discard();
  }

  /** Sound can begin anywhere. */
  keyframe() {}

  /** The size is read from each picture. */
  turned() {}

  /**
   * @param {EncodedVideoChunk | EncodedAudioChunk} chunk
   * @param {number} captured ms, performance.now(), of the picture or the first sample
   * @param {number} whole ms, when the picture or the last sample was captured
   * @param {() => ArrayBuffer} header
   */
  _send(chunk, captured, whole, header) {
    this.fedAt = 0;
    const time = this.link.at(captured);
    if (time === null) return; // the connection was lost while this was inside
    if (this.at === null) {
      this.at = Math.max(0, Math.floor(time));
      this.output.onstart(this.mime, { at: this.at, keyframes: true });
      this.output.onbytes(header());
    }
    this.lastTimestamp = Math.max(this.lastTimestamp + 1, Math.round(time) - this.at);
    const message = webmFrame(this.number, this.lastTimestamp, chunk.type === "key", chunk);
    this.output.onbytes(message);
    this.heardAt = performance.now();
    this.recent.add(message.byteLength, true, this.heardAt - whole);
  }

  _look() {
    const track = this.track;
    const now = performance.now();
    // A muted track or a hidden page gives nothing: that is nobody's fault.
    if (
      !track ||
      track.muted ||
      track.readyState === "ended" ||
      document.visibilityState !== "visible"
    ) {
      this.givenAt = now;
      this.pace.interrupted();
      if (this.fedAt > 0) this.fedAt = now;
      return;
    }
    const limit = this._patience(track);
    if (now - this.givenAt > limit) this._fail("the source is silent");
    else if (this.fedAt > 0 && now - this.fedAt > limit) this._fail("the encoder gives nothing");
  }

  /**
   * @param {MediaStreamTrack} _track
   * @returns {number} ms for which source and encoder may give nothing
   */
  _patience(_track) {
    return SILENCE_LIMIT;
  }

  /** @param {string} why */
  _fail(why) {
    const track = this.track;
    if (!track) return;
    console.warn("codecs: begun afresh,", why);
    const now = performance.now();
    this.restarts += 1;
    this.pace.renewed(now);
    this.failures = this.failures.filter((at) => now - at < FAILURE_WINDOW);
    this.failures.push(now);
    this.source.stop();
    this._discard();
    if (this.failures.length >= MOST_FAILURES) {
      this.stop();
      this.output.onfailure(why);
      return;
    }
    this.givenAt = now;
    this.source.start(track);
  }

  /** The encoder gets something. @param {number} now */
  _fed(now) {
    if (this.fedAt === 0) this.fedAt = now;
  }

  _discard() {
    const encoder = this.encoder;
    this.encoder = null;
    this.fedAt = 0;
    if (encoder && encoder.state !== "closed") encoder.close();
  }
}

export class CodecsEngine extends CodecEngine {
  /** Whether this browser has what it takes. @returns {boolean} */
  static able() {
    return typeof VideoEncoder === "function" && Pictures.able();
  }

  /**
   * @param {number} number of the stream, 1 to 8
   * @param {import("./media-recorder.js").Output} output
   * @param {{link: LinkEnd, codec: string, drawn: boolean}} options codec: as WebCodecs names it;
   *   drawn: see video-frames.js
   */
  constructor(number, output, options) {
    super(number, output, options);
    this.drawn = options.drawn;
    this.source = this._pictures();
    this.codec = options.codec;
    this.mime = `video/webm;codecs=${this.codec}`;
    /** See layOf: how the pictures lie that are encoded now. */
    this.width = this.height = 0;
    this.rotation = 0;
    this.flip = false;
    /** What their colours mean, as the encoder says it. @type {VideoColorSpaceInit | null} */
    this.color = null;
    this.bitrate = 0;
    this.fullQuality = 1;
    /** Every picture is left out, because the network is behind. */
    this.held = false;
    this.mostPictures = Infinity;
    /** When the next picture is due, where not all of them are wanted. */
    this.dueAt = 0;
    this.wantsKeyframe = false;
    this.keyframeAt = 0;
    /**
     * Timestamps of the pictures that went in and have not come out, the oldest first.
     * @type {number[]}
     */
    this.inside = [];
  }

  get quality() {
    return this.fullQuality;
  }

  /** Used from the next picture on. */
  set quality(value) {
    this.fullQuality = value;
    this._reconfigure();
  }

  /** Pictures per second at most. */
  get most() {
    return this.mostPictures;
  }

  /** Those that are too many are left out from now on. */
  set most(value) {
    this.mostPictures = value;
    this._reconfigure();
  }

  keyframe() {
    this.wantsKeyframe = true;
  }

  /** @param {MediaStreamTrack} track */
  _patience(track) {
    return this.pace.patience(track, SILENCE_LIMIT);
  }

  _pictures() {
    return new Pictures(
      { onpicture: (frame) => this._picture(frame), onfailure: (why) => this._fail(why) },
      { drawn: this.drawn },
    );
  }

  /** @param {VideoFrame} frame */
  _picture(frame) {
    try {
      this._encode(frame);
    } catch (error) {
      this._fail(String(error));
    } finally {
      frame.close();
    }
  }

  /** @param {VideoFrame} frame */
  _encode(frame) {
    const now = performance.now();
    this.givenAt = now;
    this.pace.picture(now);
    if (!this.track || this.link.at(now) === null || this._isTooMany(now) || this._isBehind())
      return;
    const { width, height, rotation, flip } = layOf(frame);
    if (rotation !== this.rotation || flip !== this.flip) {
      // The header tells the viewers, who turn them: so a stream begins, and what is inside the
      // encoder belongs to the one before.
      this._discard();
      this.at = null;
      this.lastTimestamp = -1;
    }
    if (width !== this.width || height !== this.height || !this.encoder) {
      Object.assign(this, { width, height, rotation, flip });
      if (!this.encoder) this.encoder = this._newEncoder();
      this._configure(this.encoder);
      this.keyframeAt = -Infinity;
    }
    const age = now - this.keyframeAt;
    const keyFrame = age >= KEYFRAME_INTERVAL || (this.wantsKeyframe && age >= KEYFRAME_PAUSE);
    if (keyFrame) {
      this.keyframeAt = now;
      this.wantsKeyframe = false;
    }
    this.inside.push(frame.timestamp);
    this._fed(now);
    this.encoder.encode(frame, { keyFrame });
  }

  /** Whether fewer pictures are wanted than come. @param {number} now */
  _isTooMany(now) {
    if (this.mostPictures === Infinity) return false;
    const distance = 1000 / this.mostPictures;
    if (now < this.dueAt - distance / 4) return true; // cameras are not punctual
    this.dueAt = Math.max(this.dueAt + distance, now);
    return false;
  }

  /** Whether this picture has to be left out. */
  _isBehind() {
    if (this.held) this.dropped.network += 1;
    else if (
      this.encoder &&
      (this.encoder.encodeQueueSize >= MOST_INSIDE || this.inside.length >= MOST_INSIDE)
    )
      this.dropped.encoder += 1;
    else if (this.link.buffered > Math.max(ALWAYS_WAITING, (this.bitrate / 8) * MOST_WAITING))
      this.dropped.network += 1;
    else return false;
    return true;
  }

  _newEncoder() {
    const encoder = new VideoEncoder({
      output: (chunk, metadata) => {
        if (this.encoder !== encoder) return;
        this._colored(chunk, metadata);
        this._deliver(chunk);
      },
      error: (error) => {
        if (this.encoder === encoder) this._refused(String(error));
      },
    });
    return encoder;
  }

  /**
   * It may be the pictures that this encoder does not like (video-frames.js).
   * @param {string} why
   */
  _refused(why) {
    if (!this.drawn && Pictures.mayDraw()) {
      this.drawn = true;
      this.source.stop();
      this.source = this._pictures();
    }
    this._fail(why);
  }

  /** @param {VideoEncoder} encoder */
  _configure(encoder) {
    const track = /** @type {MediaStreamTrack} */ (this.track);
    const { width, height } = this;
    this.bitrate = bitrateOf(width, height, this.fullQuality);
    const framerate = Math.min(rateOf(track), this.mostPictures);
    encoder.configure(videoConfig(this.codec, { width, height, bitrate: this.bitrate, framerate }));
  }

  _reconfigure() {
    if (this.encoder && this.encoder.state === "configured") this._configure(this.encoder);
  }

  /**
   * What the encoder says of the colours stands in the header, since VP8 has no place for it: where
   * they are others, a stream begins.
   * @param {EncodedVideoChunk} chunk
   * @param {EncodedVideoChunkMetadata | undefined} metadata
   */
  _colored(chunk, metadata) {
    const told = metadata && metadata.decoderConfig && metadata.decoderConfig.colorSpace;
    if (!told || chunk.type !== "key") return;
    const { primaries, transfer, matrix, fullRange } = told;
    const color = { primaries, transfer, matrix, fullRange };
    if (JSON.stringify(color) === JSON.stringify(this.color)) return;
    this.color = color;
    this.at = null;
    this.lastTimestamp = -1;
  }

  /**
   * @param {EncodedVideoChunk} chunk its timestamp is the capture, µs of performance.now()
   *   (video-frames.js)
   */
  _deliver(chunk) {
    // An encoder may leave out a picture of its own accord; then those before this one will not
    // come any more.
    while (this.inside.length > 0 && this.inside[0] <= chunk.timestamp) this.inside.shift();
    const captured = chunk.timestamp / 1000;
    this._send(chunk, captured, captured, () => {
      const codec = MATROSKA[/** @type {"vp8"} */ (this.codec.split(".")[0])];
      const { width, height, rotation, flip, color } = this;
      return webmHeader(this.number, { codec, width, height, rotation, flip, color });
    });
  }

  _discard() {
    super._discard();
    this.inside = [];
  }
}

export class CodecsSoundEngine extends CodecEngine {
  /** Whether this browser has what it takes. @returns {boolean} */
  static able() {
    return typeof AudioEncoder === "function" && Samples.able();
  }

  /**
   * @param {number} number of the stream, 1 to 8
   * @param {import("./media-recorder.js").Output} output
   * @param {{link: LinkEnd}} options
   */
  constructor(number, output, options) {
    super(number, output, options);
    this.source = new Samples({
      onsamples: (data, captured) => this._sound(data, captured),
      onfailure: (why) => this._fail(why),
    });
    this.mime = "audio/webm;codecs=opus";
    this.quality = 1;
    this.sampleRate = this.channels = 0;
    this.fed = 0;
    this.out = 0;
    /**
     * When the sound at a position was captured, the oldest first.
     * @type {{position: number, captured: number}[]}
     */
    this.marks = [];
  }

  /**
   * Browsers disagree about the timestamps of what comes out, so samples are counted: ms of sound
   * that went in and came out.
   */
  _forget() {
    this.fed = 0;
    this.out = 0;
    this.marks = [];
  }

  /** @param {AudioData} data @param {number} captured ms, performance.now(), of its first sample */
  _sound(data, captured) {
    try {
      this._encode(data, captured);
    } catch (error) {
      this._fail(String(error));
    } finally {
      data.close();
    }
  }

  /** @param {AudioData} data @param {number} captured */
  _encode(data, captured) {
    this.givenAt = performance.now();
    const track = this.track;
    if (!track || this.link.at(this.givenAt) === null) return;
    const { sampleRate, numberOfFrames } = data;
    const channels = mixedChannels(data.numberOfChannels);
    if (!this.encoder || sampleRate !== this.sampleRate || channels !== this.channels) {
      this._discard();
      this.sampleRate = sampleRate;
      this.channels = channels;
      this.at = null; // another header
      this.lastTimestamp = -1;
      this.encoder = this._newEncoder(bitrateFor(track, 1));
    }
    if (this.encoder.encodeQueueSize >= MOST_SOUND_INSIDE) this.dropped.encoder += 1;
    else if (this.link.buffered > MOST_SOUND_WAITING) this.dropped.network += 1;
    else {
      this.marks.push({ position: this.fed, captured });
      this._fed(this.givenAt);
      this.fed += (numberOfFrames * 1000) / sampleRate;
      const mixed = mixDown(data);
      this.encoder.encode(mixed);
      if (mixed !== data) mixed.close();
    }
  }

  /** @param {number} bitrate */
  _newEncoder(bitrate) {
    const encoder = new AudioEncoder({
      output: (chunk, facts) => {
        if (this.encoder === encoder) this._deliver(chunk, facts);
      },
      error: (error) => {
        if (this.encoder === encoder) this._fail(String(error));
      },
    });
    // "lowdelay" (WebCodecs Opus registration) looks 2.5 ms ahead instead of 6.5; browsers that do
    // not know it ignore it.
    const opus = { frameDuration: SOUND_PACKET, application: "lowdelay" };
    const { sampleRate, channels: numberOfChannels } = this;
    encoder.configure(
      /** @type {any} */ ({ codec: "opus", sampleRate, numberOfChannels, bitrate, opus }),
    );
    return encoder;
  }

  /** @param {EncodedAudioChunk} chunk @param {EncodedAudioChunkMetadata} [facts] */
  _deliver(chunk, facts) {
    if (facts && facts.decoderConfig) this.config = opusHead(facts.decoderConfig.description);
    while (this.marks.length > 1 && this.marks[1].position <= this.out) this.marks.shift();
    const captured = this.marks[0].captured + this.out - this.marks[0].position;
    const length = SOUND_PACKET / 1000;
    this.out += length;
    this._send(chunk, captured, captured + length, () => {
      const { sampleRate, channels, config } = this;
      return webmHeader(this.number, { codec: "A_OPUS", sampleRate, channels, config });
    });
  }

  _discard() {
    super._discard();
    this._forget();
  }
}

/**
 * @param {AllowSharedBufferSource} [description] of an Opus decoder
 * @returns {Uint8Array | undefined} where it is one (RFC 7845 5.1)
 */
function opusHead(description) {
  if (!description) return undefined;
  const bytes = ArrayBuffer.isView(description)
    ? new Uint8Array(description.buffer, description.byteOffset, description.byteLength)
    : new Uint8Array(description);
  return String.fromCharCode(...bytes.subarray(0, 8)) === "OpusHead" ? bytes : undefined;
}
