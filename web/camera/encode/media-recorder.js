// The MediaRecorder engine: turns one track into the bytes of one stream (docs/protocol.md,
// "Streams from a camera").
//
// What any engine is, so that others (webcodecs.js) can stand beside this one:
//
//   new Engine(number, output, options)   number: the stream's number on the wire; output: see
//                                         Output
//   start(track)     begins afresh: output.onstart(mime, facts), then output.onbytes(bytes) again
//                    and again; also while it runs
//   stop()           nothing more comes out, at once
//   keyframe()       somebody needs a picture to start from: as soon as this engine can
//   turned()         the picture has another size now
//   quality          1 is the full bit rate; may be set at any time
//   leavesOut        whether it can leave out pictures by itself: those for which the network has
//                    no room, while `held` is set, and those beyond `most` a second; one that
//                    cannot has to be stopped then, and its lens to give fewer
//   able             whether this browser has what it takes at all
//   running          between start and stop
//   stats            see Stats
//
// The constructor throws nothing; an engine that cannot work at all says so by
// output.onfailure(text), and is stopped then.
//
// Three properties of MediaRecorder shape this file. A blob ends at any byte, and with a timeslice
// alone the last frame stays inside until the next one pushes it out: requestData() after every
// blob flushes it at once. One recorder for sound and picture holds the picture back until 60 ms of
// sound are packed: so one engine, one track. And it can neither drop a frame nor make a keyframe:
// only a new recorder can.

import { LayWatch } from "./lay-watch.js";
import { Pace } from "../lens/lens-pace.js";
import { Recent } from "./sent-lately.js";

/**
 * Kinds of recording in the order of preference. VP8 first: any phone encodes it and any browser
 * plays it. MP4 last: recorders write it in pieces of a second or more.
 */
export const VIDEO_TYPES = [
  "video/webm;codecs=vp8",
  "video/webm;codecs=h264",
  "video/webm;codecs=vp9",
  "video/mp4;codecs=avc1.42E01E",
  "video/mp4",
];
export const AUDIO_TYPES = ["audio/webm;codecs=opus", "audio/mp4;codecs=mp4a.40.2", "audio/mp4"];

/**
 * Milliseconds. Between two keyframes, where the browser lets us choose: what a viewer that lost
 * frames has to wait at most.
 */
const KEYFRAME_INTERVAL = 1000;

/** Milliseconds. At most this often is a recorder restarted for the sake of a keyframe. */
const RESTART_INTERVAL = 1000;

/**
 * Milliseconds. The smallest timeslice; WebM is then flushed by requestData. Safari's least one is
 * 100. MP4 is not flushed: a recorder may answer each request with a keyframe of its own.
 */
const WEBM_TIMESLICE = 1;
const MP4_TIMESLICE = 100;

/**
 * Milliseconds without a byte after which a recorder counts as stuck, unless the lens is slower.
 */
const SILENCE_LIMIT = 3000;

/**
 * Restarts in a row without a byte after which the next type is tried: some phones accept a type
 * that their encoder cannot do.
 */
const PATIENCE = 2;

/** Milliseconds between two looks at the recorder. */
const LOOK_INTERVAL = 500;

/**
 * Milliseconds after which a recorder makes place for a new one: Chrome's WebM writer keeps a few
 * hundred bytes for every cluster it has written, about 20 MB a day.
 */
const LONGEST_RECORDING = 4 * 3600 * 1000;

/**
 * Milliseconds for which a recorder that has just been started waits for the first picture, which
 * says how it lies, and for a trial.
 */
const FIRST_LAY = 600;

/**
 * Blobs that come closer together (ms) belong to the same picture: a recorder writes a picture in
 * one task, cut in two or three blobs.
 */
const BURST_GAP = 6;

/** Milliseconds from which on the relay would not believe it (docs/protocol.md). */
const MOST_DELAY = 10000;

/**
 * Bits per second: 1.2 Mbit/s at 640x480, growing slower than the area (2.5 Mbit/s at 1280x720).
 */
const VGA_BITRATE = 1200000;
const VGA_AREA = 640 * 480;
const AREA_EXPONENT = 2 / 3;
const LEAST_BITRATE = 30000;
const AUDIO_BITRATE = 40000;

/**
 * What else the relay is told when a stream begins (docs/protocol.md, `stream`). at, delay: µs
 * @typedef {{at?: number, delay?: number, keyframes?: boolean, rotation?: number, flip?: boolean}}
 *   StreamFacts
 */
/**
 * @typedef {{onstart: (mime: string, facts: StreamFacts) => void, onbytes: (bytes: Blob |
 *            ArrayBuffer) => void, onfailure: (text: string) => void}} Output
 */
/**
 * Pictures left out before they were encoded, and because of what.
 * @typedef {{encoder: number, network: number}} Dropped
 */
/**
 * @typedef {{fps: number | null, bitsPerSecond: number, delay: number | null, mime: string,
 *            restarts: number, silence: number, dropped: Dropped}} Stats
 * fps: pictures per second, null where it cannot be told; delay: ms from capture to sending, the
 * median of the last two seconds or what the self-test has measured, null when unknown; restarts:
 * those the engine needed because its encoder failed; silence: ms since the last byte, 0 while it
 * does not run; dropped: since the engine was made
 */

/**
 * The bit rate for a picture size.
 * @param {MediaStreamTrack} track
 * @param {number} quality 1 is the full rate
 */
export function bitrateFor(track, quality) {
  if (track.kind === "audio") return AUDIO_BITRATE;
  const { width = 640, height = 480 } = track.getSettings();
  return bitrateOf(width, height, quality);
}

/** As bitrateFor. @param {number} width @param {number} height pixels @param {number} quality */
export function bitrateOf(width, height, quality) {
  const full = VGA_BITRATE * ((width * height) / VGA_AREA) ** AREA_EXPONENT;
  return Math.max(LEAST_BITRATE, Math.round(full * quality));
}

/**
 * Whether this browser looks at videoKeyFrameIntervalDuration: a dictionary member is read only
 * where it is known.
 */
function hasKeyframeInterval() {
  let read = false;
  const options = {
    get videoKeyFrameIntervalDuration() {
      read = true;
      return KEYFRAME_INTERVAL;
    },
  };
  try {
    new MediaRecorder(new MediaStream(), /** @type {any} */ (options));
  } catch (error) {
    // an empty stream may be refused; it was read before that
  }
  return read;
}

export class RecorderEngine {
  /**
   * @param {number} number of the stream, 1 to 8
   * @param {Output} output
   * @param {{types: string[], mime?: string, delays?: import("./encoder-trial.js").Delays | null,
   *          halfTrip?: () => number, replaceable?: boolean}} options
   *     types: in the order of preference; mime: only this one; delays: from capture to sending, as
   *     measured before; halfTrip: from sending to the relay, ms; replaceable: rather give up than
   *     go on when nothing comes
   */
  constructor(number, output, options) {
    this.output = output;
    this.options = options;
    /** Used from the next start on. */
    this.quality = 1;
    this.leavesOut = false;
    this.prefix = new Uint8Array([number]);
    const wanted = options.mime ? [options.mime] : options.types;
    this.types = wanted.filter((type) => MediaRecorder.isTypeSupported(type));
    this.able = this.types.length > 0;
    /** @type {MediaStreamTrack | null} */
    this.track = null;
    /** @type {MediaRecorder | null} */
    this.recorder = null;
    this.keyframesCome = hasKeyframeInterval();
    this.restarts = 0;
    this.fruitless = 0;
    this.announced = false;
    this.mime = "";
    this.startedAt = 0;
    this.heardAt = 0;
    this.recent = new Recent();
    this.pace = new Pace();
    /** Whose pace is known. @type {MediaStreamTrack | null} */
    this.pacer = null;
    this.looker = 0;
    this.keyframeTimer = 0;
    /** What its stream does not say of its pictures: see LayWatch. */
    this.turn = { rotation: 0, flip: false };
    this.layTimer = 0;
    this.watch = LayWatch.able()
      ? new LayWatch({ onturn: (rotation, flip) => this._lies(rotation, flip) })
      : null;
  }

  get running() {
    return this.track !== null;
  }

  /** @returns {Stats} */
  get stats() {
    const { fps, bitsPerSecond } = this.recent.count();
    const countable = isWebm(this.mime) && !this.mime.startsWith("audio/");
    return {
      fps: countable ? fps : null,
      bitsPerSecond,
      delay: this.options.delays ? this.options.delays.median : null,
      mime: this.mime,
      restarts: this.restarts,
      silence: this.running ? performance.now() - this.heardAt : 0,
      dropped: { encoder: 0, network: 0 },
    };
  }

  /** @param {MediaStreamTrack} track a live track */
  start(track) {
    this.stop();
    if (!this.able) {
      this.output.onfailure(
        `This browser cannot record ${track.kind === "audio" ? "sound" : "pictures"} in any form the relay knows.`,
      );
      return;
    }
    if (track !== this.pacer) this.pace = new Pace();
    this.pace.interrupted();
    this.track = this.pacer = track;
    this.fruitless = 0;
    this.recent.restart();
    this.heardAt = performance.now();
    this.looker = setInterval(() => this._look(), LOOK_INTERVAL);
    if (!this.watch || track.kind === "audio") {
      this._record();
      return;
    }
    this.layTimer = setTimeout(() => this._record(), FIRST_LAY);
    this.watch.start(track, this.types[0]);
  }

  stop() {
    clearInterval(this.looker);
    clearTimeout(this.layTimer);
    clearTimeout(this.keyframeTimer);
    this.keyframeTimer = 0;
    if (this.watch) this.watch.stop();
    this._discard();
    this.track = null;
  }

  /**
   * With a keyframe every second anyway, a restart would cost every viewer a gap to save one viewer
   * half a second. Elsewhere the browser's own keyframes are 3 to 10 s apart, and the restart is
   * worth it.
   */
  keyframe() {
    if (!this.running || this.keyframesCome || this.keyframeTimer) return;
    const wait = Math.max(0, RESTART_INTERVAL - (performance.now() - this.startedAt));
    this.keyframeTimer = setTimeout(() => {
      this.keyframeTimer = 0;
      if (this.running) this._record();
    }, wait);
  }

  /** A fresh header says so. */
  turned() {
    if (this.track) this.start(this.track);
  }

  /** @param {number} rotation @param {boolean} flip */
  _lies(rotation, flip) {
    const same = rotation === this.turn.rotation && flip === this.turn.flip;
    if (same && this.recorder) return;
    this.turn = { rotation, flip };
    this._record();
  }

  _record() {
    clearTimeout(this.layTimer);
    const track = this.track;
    if (!track || track.readyState === "ended") return;
    this._discard();
    this.announced = false;
    this.startedAt = performance.now();
    try {
      const recorder = this._recorderFor(track);
      recorder.ondataavailable = (event) => this._deliver(event.data);
      recorder.onerror = (event) =>
        this._recover(
          `${recorder.mimeType}: ${/** @type {any} */ (event).error || "recorder error"}`,
        );
      recorder.start(isWebm(recorder.mimeType || this.types[0]) ? WEBM_TIMESLICE : MP4_TIMESLICE);
      this.recorder = recorder;
    } catch (error) {
      console.warn("recorder:", error);
      this._nextType(String(error));
    }
  }

  /** @param {MediaStreamTrack} track */
  _recorderFor(track) {
    const stream = new MediaStream([track]);
    const rate = bitrateFor(track, this.quality);
    const mimeType = this.types[0];
    if (track.kind === "audio")
      return new MediaRecorder(stream, { mimeType, audioBitsPerSecond: rate });
    const options = { mimeType, videoBitsPerSecond: rate };
    try {
      return new MediaRecorder(
        stream,
        /** @type {any} */ ({ ...options, videoKeyFrameIntervalDuration: KEYFRAME_INTERVAL }),
      );
    } catch (error) {
      if (/** @type {DOMException} */ (error).name !== "NotSupportedError") throw error;
      this.keyframesCome = false;
      return new MediaRecorder(stream, options);
    }
  }

  /** @param {Blob} blob */
  _deliver(blob) {
    if (blob.size === 0) return;
    const recorder = /** @type {MediaRecorder} */ (this.recorder);
    if (!this.announced) {
      this.announced = true;
      this.mime = recorder.mimeType || this.types[0];
      this.output.onstart(this.mime, this._facts());
    }
    const now = performance.now();
    const begins = now - this.heardAt > BURST_GAP;
    this.recent.add(blob.size, begins, null);
    if (begins) this.pace.picture(now);
    this.heardAt = now;
    this.fruitless = 0;
    // A blob of blobs, not an await for its bytes: waiting for each could change their order.
    this.output.onbytes(new Blob([this.prefix, blob]));
    if (isWebm(this.mime) && recorder.state === "recording") recorder.requestData();
  }

  /**
   * A recorder does not say when a picture was captured; the relay can only take off what it takes
   * at least.
   * @returns {StreamFacts}
   */
  _facts() {
    const { delays, halfTrip } = this.options;
    const shortest = delays ? delays.least + (halfTrip ? halfTrip() : 0) : Infinity;
    const { rotation, flip } = this.turn;
    return {
      ...(shortest < MOST_DELAY && { delay: Math.round(shortest * 1000) }),
      ...(rotation && { rotation }),
      ...(flip && { flip }),
    };
  }

  _look() {
    const track = this.track;
    // A muted track or a hidden page gives nothing to record: that is not the recorder's fault.
    if (
      !track ||
      track.muted ||
      track.readyState === "ended" ||
      document.visibilityState !== "visible"
    ) {
      this.pace.interrupted();
      return;
    }
    const now = performance.now();
    const limit = track.kind === "audio" ? SILENCE_LIMIT : this.pace.patience(track, SILENCE_LIMIT);
    if (now - Math.max(this.heardAt, this.startedAt) > limit)
      this._recover(`no bytes for ${Math.round(limit / 1000)} s`);
    else if (now - this.startedAt > LONGEST_RECORDING) this._record();
  }

  /** @param {string} why */
  _recover(why) {
    console.warn("recorder: restarted,", why);
    this.pace.renewed(performance.now());
    this.restarts += 1;
    this.fruitless += 1;
    if (this.fruitless >= PATIENCE && this.options.replaceable) this._fail(why);
    else if (this.fruitless > PATIENCE && this.types.length > 1) this._nextType(why);
    else if (performance.now() - this.startedAt >= RESTART_INTERVAL) this._record();
    // Failed at once: _look starts it again, not this task, so that it cannot spin.
    else this._discard();
  }

  /** @param {string} why */
  _nextType(why) {
    this.fruitless = 0;
    if (this.types.length > 1) {
      this.types = this.types.slice(1);
      if (this.track) this.start(this.track); // this one may lose what the other did not
    } else this._fail(why);
  }

  /** @param {string} why */
  _fail(why) {
    this.stop();
    this.output.onfailure(`The browser's recorder does not work: ${why}`);
  }

  _discard() {
    const recorder = this.recorder;
    this.recorder = null;
    if (!recorder) return;
    recorder.ondataavailable = recorder.onerror = null;
    if (recorder.state !== "inactive") recorder.stop();
  }
}

/** @param {string} mime Chrome calls H.264 from its WebM writer Matroska */
function isWebm(mime) {
  return mime.includes("webm") || mime.includes("matroska");
}
