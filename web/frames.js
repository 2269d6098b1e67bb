// The WebCodecs engine: each frame is decoded in the tick in which it arrives and drawn as soon as the decoder gives it back.
// There is no buffer and no clock: the newest picture is the right one. (The contract of an engine is at the top of tile.js.)

import { bytesOfBase64, readFrame } from "./message.js";

/** Frames inside the decoder beyond which it has lost touch: half a second at 30 a second. */
const BACKLOG_LIMIT = 15;

/** More frames than this still waiting for the decoder: the one it has just given back is already old. */
const STALE_BEHIND = 2;

/** But show something every so often (ms), also while it is behind: in general, and while a replay is decoded fast-forward. */
const LONGEST_SKIP = 100;
const LONGEST_REPLAY_SKIP = 500;

/** For so long (ms) after a track has begun, a long queue is the replay from the last keyframe and no backlog. */
const REPLAY_GRACE = 2000;

/** A keyframe is asked for at most this often (ms): a camera may need a while to make one. */
const KEYFRAME_ASK_INTERVAL = 2000;

/** Decoder errors, within this time (ms), after which the engine gives up. */
const ERROR_LIMIT = 3;
const ERROR_WINDOW = 10000;

/** Codecs for which WebCodecs wants the configuration as `description`: their frames come without parameter sets, or may. */
const DESCRIBED = /^(avc1|av01)/;

/** @param {import("./tile.js").TrackMessage} track @returns {VideoDecoderConfig} */
function decoderConfig(track) {
  /** @type {VideoDecoderConfig} */
  const config = { codec: track.codec, optimizeForLatency: true };
  if (track.width && track.height) {
    config.codedWidth = track.width;
    config.codedHeight = track.height;
  }
  if (track.config && DESCRIBED.test(track.codec)) config.description = bytesOfBase64(track.config);
  return config;
}

/** @implements {import("./tile.js").Engine} */
export class FramesEngine {
  /** @param {import("./tile.js").TrackMessage} track @returns {Promise<boolean>} */
  static async supports(track) {
    if (typeof VideoDecoder === "undefined" || typeof EncodedVideoChunk === "undefined") return false;
    try {
      return (await VideoDecoder.isConfigSupported(decoderConfig(track))).supported === true;
    } catch (error) {
      return false; // a codec string the browser cannot even read
    }
  }

  /** @param {HTMLElement} view @param {import("./tile.js").EngineHandlers} handlers */
  constructor(view, handlers) {
    this.name = "frames";
    this.handlers = handlers;
    this.stats = { received: 0, fed: 0, shown: 0, dropped: 0, bufferedAhead: 0, stalls: 0 };
    this.canvas = document.createElement("canvas");
    view.append(this.canvas);
    // No alpha and no waiting for the page's own frame: the compositor may take the picture at the next refresh.
    this.pen = this.canvas.getContext("2d", { alpha: false, desynchronized: true });
    /** @type {VideoDecoder | null} */
    this.decoder = null;
    /** @type {VideoDecoderConfig | null} */
    this.config = null;
    this.needsKey = true;
    this.replaying = true;
    this.beganAt = 0;
    this.drawnAt = 0;
    this.askedAt = -KEYFRAME_ASK_INTERVAL;
    /** @type {number[]} */
    this.errors = [];
    this.closed = false;
  }

  /** @param {import("./tile.js").TrackMessage} track @param {ArrayBuffer} _init not needed: WebCodecs takes bare frames */
  track(track, _init) {
    this.config = decoderConfig(track);
    this.needsKey = true;
    this.replaying = true;
    this.beganAt = this.drawnAt = performance.now();
    this.startDecoder();
  }

  /** @param {number} _number @param {ArrayBuffer} message */
  frame(_number, message) {
    if (this.closed || !this.decoder) return;
    this.stats.received += 1;
    let frame;
    try {
      frame = readFrame(message);
    } catch (error) {
      this.fail(String(error));
      return;
    }
    const queued = this.decoder.decodeQueueSize;
    if (this.replaying && queued <= STALE_BEHIND && performance.now() - this.beganAt > REPLAY_GRACE) this.replaying = false;
    if (!this.replaying && queued > BACKLOG_LIMIT && !this.needsKey) {
      this.needsKey = true;
    }
    if (this.needsKey && !(frame.key && (this.replaying || queued <= BACKLOG_LIMIT))) {
      this.stats.dropped += 1;
      if (!this.replaying) this.askForKeyframe();
      return;
    }
    this.needsKey = false;
    this.stats.fed += 1;
    try {
      this.decoder.decode(new EncodedVideoChunk({ type: frame.key ? "key" : "delta", timestamp: frame.timestamp, data: frame.data }));
    } catch (error) {
      this.recover(String(error));
    }
  }

  close() {
    this.closed = true;
    this.stopDecoder();
    this.canvas.remove();
  }

  startDecoder() {
    this.stopDecoder();
    if (!this.pen) return this.fail("no canvas to draw on");
    const decoder = new VideoDecoder({
      output: (picture) => this.show(picture, decoder),
      error: (error) => this.recover(error.message),
    });
    this.decoder = decoder;
    try {
      decoder.configure(/** @type {VideoDecoderConfig} */ (this.config));
    } catch (error) {
      this.fail(String(error));
    }
  }

  stopDecoder() {
    if (this.decoder && this.decoder.state !== "closed") this.decoder.close();
    this.decoder = null;
  }

  /** @param {VideoFrame} picture @param {VideoDecoder} decoder which gave it */
  show(picture, decoder) {
    const now = performance.now();
    const longest = this.replaying ? LONGEST_REPLAY_SKIP : LONGEST_SKIP;
    const stale = decoder.decodeQueueSize > STALE_BEHIND && now - this.drawnAt < longest;
    if (stale || decoder !== this.decoder || !this.pen) {
      picture.close();
      this.stats.dropped += 1;
      return;
    }
    const { displayWidth: width, displayHeight: height, timestamp } = picture;
    const { canvas } = this;
    if (canvas.width !== width || canvas.height !== height) {
      canvas.width = width; // the phone was turned
      canvas.height = height;
    }
    this.pen.drawImage(picture, 0, 0, width, height);
    picture.close();
    this.drawnAt = now;
    this.stats.shown += 1;
    this.handlers.onpicture(timestamp, width, height);
  }

  /** One broken frame must not end the picture: a fresh decoder goes on at the next keyframe. @param {string} reason */
  recover(reason) {
    if (this.closed) return;
    const now = performance.now();
    this.errors = this.errors.filter((moment) => now - moment < ERROR_WINDOW);
    this.errors.push(now);
    if (this.errors.length >= ERROR_LIMIT || this.stats.shown === 0) return this.fail(reason);
    this.needsKey = true;
    this.startDecoder();
    this.askForKeyframe();
  }

  askForKeyframe() {
    const now = performance.now();
    if (now - this.askedAt < KEYFRAME_ASK_INTERVAL) return;
    this.askedAt = now;
    this.handlers.send({ type: "keyframe" });
  }

  /** @param {string} reason */
  fail(reason) {
    if (this.closed) return;
    this.closed = true;
    this.stopDecoder();
    this.handlers.onfail(reason);
  }
}
