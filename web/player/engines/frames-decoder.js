// WebCodecs: each frame is decoded in the tick in which it arrives, and what the decoder gives back
// goes to the surface at once. There is no buffer and no clock: the newest picture is the right
// one. It knows no page and no socket, so it works in a worker (receiver.js).

import { bytesOfBase64 } from "../../shared/frames/frame-message.js";

/**
 * More frames than this still waiting for the decoder: the one it has just given back is already
 * old.
 */
const STALE_BEHIND = 2;

/**
 * But show something every so often (ms), also while it is behind: in general, and while a replay
 * is decoded fast-forward.
 */
const LONGEST_SKIP = 100;
const LONGEST_REPLAY_SKIP = 500;

/**
 * A keyframe that comes while more frames than this wait for the decoder makes them worthless: it
 * goes on from there.
 */
const FEW_WAITING = 3;

/**
 * Behind for so long (ms), the decoder will not catch up: it is given nothing before the next
 * keyframe. A burst after a hole in the network is decoded long before. Whoever follows a replay
 * may take longer: the next keyframe may be many seconds away.
 */
const LOST_TOUCH = 2000;

/** For so long (ms) after a track has begun, a long queue is the replay from the last keyframe. */
const REPLAY_GRACE = 1000;

/** Frames inside the decoder, whatever happens. */
const QUEUE_LIMIT = 1000;

/** A keyframe is asked for at most this often (ms): a camera may need a while to make one. */
const KEYFRAME_ASK_INTERVAL = 2000;

/**
 * Decoder errors, within this time (ms), after which it gives up; and it does so after two without
 * a picture between them.
 */
const ERROR_LIMIT = 3;
const ERROR_WINDOW = 10000;

/**
 * Codecs for which WebCodecs wants the configuration as `description`: their frames come without
 * parameter sets, or may.
 */
const DESCRIBED = /^(avc1|av01)/;

/**
 * onpicture: a picture went to the surface, decodeTime ms after its frame arrived; that is null
 * where it says nothing, during a replay; send: a wish for the relay (docs/protocol.md, "Player to
 * relay"). onfail: it cannot go on, or only not on this surface.
 * @typedef {{onfail: (reason: string, ofSurface: boolean) => void, send: (message: object) => void,
 *             onpicture: (width: number, height: number, decodeTime: number | null) => void}}
 *             DecoderHandlers
 */

/**
 * @param {VideoColorSpaceInit | undefined} color
 * @returns {VideoColorSpaceInit | undefined} what this browser has words for: one that
 * does not know a word, as older ones those of HDR, refuses all of the configuration
 */
function readable(color) {
  if (typeof VideoColorSpace === "undefined") return undefined;
  try {
    return color && new VideoColorSpace(color) && color;
  } catch (error) {
    return undefined;
  }
}

/** @param {import("../../shared/types.js").TrackMessage} track @returns {VideoDecoderConfig} */
function decoderConfig(track) {
  /** @type {VideoDecoderConfig} */
  const config = { codec: track.codec, optimizeForLatency: true };
  if (track.width && track.height) {
    config.codedWidth = track.width;
    config.codedHeight = track.height;
  }
  if (track.displayWidth && track.displayHeight) {
    config.displayAspectWidth = track.displayWidth;
    config.displayAspectHeight = track.displayHeight;
  }
  const colorSpace = readable(track.colorSpace);
  if (colorSpace) config.colorSpace = colorSpace;
  if (track.config && DESCRIBED.test(track.codec)) config.description = bytesOfBase64(track.config);
  return config;
}

export class FramesDecoder {
  /** @param {import("../../shared/types.js").TrackMessage} track @returns {Promise<boolean>} */
  static async supports(track) {
    if (typeof VideoDecoder === "undefined" || typeof EncodedVideoChunk === "undefined")
      return false;
    try {
      return (await VideoDecoder.isConfigSupported(decoderConfig(track))).supported === true;
    } catch (error) {
      return false; // a codec string the browser cannot even read
    }
  }

  /** @param {import("./surface.js").Surface} surface @param {DecoderHandlers} handlers */
  constructor(surface, handlers) {
    this.surface = surface;
    this.handlers = handlers;
    /**
     * fed: frames given to the decoder; shown: pictures given to the surface; dropped: frames never
     * decoded, and pictures left out because a newer one was about to come.
     */
    this.stats = { fed: 0, shown: 0, dropped: 0 };
    /** @type {VideoDecoder | null} */
    this.decoder = null;
    /** @type {VideoDecoderConfig | null} */
    this.config = null;
    /**
     * When the frames in the decoder arrived (performance.now()), by timestamp, in the order in
     * which they went in.
     * @type {Map<number, number>}
     */
    this.arrivals = new Map();
    this.needsKey = true;
    this.replaying = true;
    this.beganAt = 0;
    this.behindSince = 0; // 0: it keeps up
    this.shownAt = -Infinity;
    this.askedAt = -Infinity;
    /** @type {number[]} */
    this.errors = [];
    this.shownAtError = 0;
    this.closed = false;
  }

  /**
   * A track begins, begins anew, or is replayed: its next frame is a keyframe.
   * @param {import("../../shared/types.js").TrackMessage} track
   */
  track(track) {
    this.config = decoderConfig(track);
    this.needsKey = true;
    this.replaying = true;
    this.beganAt = performance.now();
    this.shownAt = -Infinity; // the first picture of a replay is shown at once, however many follow
    this.start();
  }

  /**
   * @param {import("../../shared/frames/webm-frame.js").Frame} frame
   * @param {number} arrived performance.now() of its arrival
   */
  frame(frame, arrived) {
    if (!this.decoder) return;
    const waiting = this.decoder.decodeQueueSize;
    if (waiting <= STALE_BEHIND) {
      this.behindSince = 0;
      if (arrived - this.beganAt > REPLAY_GRACE) this.replaying = false;
    } else if (this.behindSince === 0) {
      this.behindSince = arrived;
    } else if (
      waiting > QUEUE_LIMIT ||
      (!this.replaying && arrived - this.behindSince > LOST_TOUCH)
    ) {
      this.needsKey = true;
    }
    if (!frame.key && this.needsKey) {
      this.stats.dropped += 1;
      if (!this.replaying) this.askForKeyframe();
      return;
    }
    if (frame.key && waiting > FEW_WAITING) this.start();
    this.needsKey = false;
    this.stats.fed += 1;
    this.arrivals.set(frame.timestamp, arrived);
    // It swallows them.
    if (this.arrivals.size > QUEUE_LIMIT)
      this.arrivals.delete(/** @type {number} */ (this.arrivals.keys().next().value));
    try {
      this.decoder.decode(
        new EncodedVideoChunk({
          type: frame.key ? "key" : "delta",
          timestamp: frame.timestamp,
          data: frame.data,
        }),
      );
    } catch (error) {
      this.recover(String(error));
    }
  }

  /** Nobody looks: gives the decoder back (a phone has few) until the next track(). */
  rest() {
    this.forget();
    if (this.decoder && this.decoder.state !== "closed") this.decoder.close();
    this.decoder = null;
  }

  close() {
    this.closed = true;
    this.rest();
  }

  /** An empty decoder with the present configuration. */
  start() {
    this.forget();
    try {
      if (this.decoder && this.decoder.state === "configured") {
        this.decoder.reset();
      } else {
        /** @type {VideoDecoder} */
        const decoder = new VideoDecoder({
          output: (picture) => {
            try {
              this.show(picture, decoder);
            } catch (error) {
              picture.close();
              this.fail(String(error), true);
            }
          },
          error: (error) => {
            if (decoder === this.decoder) this.recover(error.message);
          },
        });
        this.decoder = decoder;
      }
      this.decoder.configure(/** @type {VideoDecoderConfig} */ (this.config));
    } catch (error) {
      this.fail(String(error));
    }
  }

  /** What is in the decoder will not come out. */
  forget() {
    this.stats.dropped += this.arrivals.size;
    this.arrivals.clear();
    this.behindSince = 0;
  }

  /** @param {VideoFrame} picture @param {VideoDecoder} decoder which gave it */
  show(picture, decoder) {
    if (decoder !== this.decoder) return picture.close();
    const now = performance.now();
    const waiting = decoder.decodeQueueSize;
    const arrived = this.arrived(picture.timestamp);
    const longest = this.replaying ? LONGEST_REPLAY_SKIP : LONGEST_SKIP;
    if (waiting > STALE_BEHIND && now - this.shownAt < longest) {
      picture.close();
      this.stats.dropped += 1;
      return;
    }
    const { width, height } = this.shapeOf(picture);
    this.shownAt = now;
    if (this.surface.give(picture, width, height)) this.stats.shown += 1;
    else this.stats.dropped += 1;
    this.handlers.onpicture(
      width,
      height,
      this.replaying || arrived === undefined ? null : now - arrived,
    );
  }

  /** Its size with square pixels: some decoders do not look at what the track says of it (WebKit).
   *  @param {VideoFrame} picture @returns {{width: number, height: number}} */
  shapeOf(picture) {
    const { displayAspectWidth: width, displayAspectHeight: height } = this.config || {};
    return width && height
      ? { width, height }
      : { width: picture.displayWidth, height: picture.displayHeight };
  }

  /**
   * @param {number} timestamp of a picture that came out
   * @returns {number | undefined} when its frame arrived
   */
  arrived(timestamp) {
    const moment = this.arrivals.get(timestamp);
    if (moment === undefined) return moment;
    // Frames that went in before and gave no picture never will (VP8 and VP9 have some that are not
    // for the eye).
    for (const earlier of this.arrivals.keys()) {
      this.arrivals.delete(earlier);
      if (earlier === timestamp) break;
    }
    return moment;
  }

  /**
   * One broken frame must not end the picture: a fresh decoder goes on at the next keyframe.
   * @param {string} reason
   */
  recover(reason) {
    if (this.closed) return;
    const now = performance.now();
    this.errors = this.errors.filter((moment) => now - moment < ERROR_WINDOW);
    this.errors.push(now);
    const { shown } = this.stats;
    if (this.errors.length >= ERROR_LIMIT || shown === this.shownAtError) return this.fail(reason);
    this.shownAtError = shown;
    this.needsKey = true;
    this.rest();
    this.start();
    this.askForKeyframe();
  }

  askForKeyframe() {
    const now = performance.now();
    if (now - this.askedAt < KEYFRAME_ASK_INTERVAL) return;
    this.askedAt = now;
    this.handlers.send({ type: "keyframe" });
  }

  /** @param {string} reason @param {boolean} [ofSurface] */
  fail(reason, ofSurface = false) {
    if (this.closed) return;
    this.close();
    this.handlers.onfail(reason, ofSurface);
  }
}
