// One camera on the air under one name: the link, the engines, and the rules for when they run.
//
//   const filming = new Filming("porch", {onstatus(status) {}, onend(reason) {}}, {mime: ""});
//   filming.show({video, audio, muted});   // whenever the lens has other tracks, or the system mutes them
//   filming.start();
//   filming.stop();
//
// The engines run while the link is open, the lens gives pictures and the relay has not asked for a pause. Whatever changes, _settle()
// compares what should be with what is; nothing else starts or stops an engine.

import { Link } from "./link.js";
import { AUDIO_TYPES, RecorderEngine, VIDEO_TYPES } from "./recorder.js";

/** @typedef {"connecting" | "gone" | "paused" | "starting" | "live"} FilmingState
 *  connecting: for the first time; gone: the relay is away, trying again; starting: no byte was sent yet */
/** @typedef {"viewers" | "background" | "interrupted"} PauseReason as in docs/protocol.md */
/** @typedef {{state: FilmingState, reason: PauseReason | "", viewers: number, slow: boolean, failure: string, mute: boolean, since: number,
 *            fps: number | null, bitsPerSecond: number, restarts: number}} Status
 *  slow: the network does not take what the camera makes; failure: what the recorder of the pictures said; mute: there is
 *  none for the sound; since: performance.now() of start() */
/** @typedef {{video: MediaStreamTrack | null, audio: MediaStreamTrack | null, muted: boolean}} Tracks */

/** Numbers of the streams. */
const VIDEO = 1;
const AUDIO = 2;

/** Milliseconds between two looks at buffers and silence. */
const TICK = 250;

/** Seconds of pictures that may wait in this browser before the recorder is stopped: a recorder cannot drop a picture, so what waits is
 *  delay for everybody. It starts again when a tenth of that is left. */
const MOST_WAITING = 1.5;
const DRAINED = 0.15;

/** Bytes that may always wait: a keyframe is much larger than the average picture. */
const ALWAYS_WAITING = 96 * 1024;

/** A network that could not take the pictures gets fewer bytes per second from then on, and, after a quiet time in ms, more again. */
const LESS = 0.65;
const MORE = 1.3;
const LEAST_QUALITY = 0.2;
const QUIET = 20000;

/** Milliseconds without a byte after which a hidden page counts as asleep. */
const ASLEEP = 1500;

/** Milliseconds without a track before it counts as an interruption: changing to the other lens takes up to a second on a phone. */
const CHANGE_GRACE = 1500;

export class Filming {
  /**
   * @param {string} name of the camera
   * @param {{onstatus: (status: Status) => void, onend: (reason: string) => void}} handlers onend: the relay has ended it, with the id of
   *     its error, such as `taken-over`
   * @param {{mime?: string}} options mime: the only type the picture may be recorded as
   */
  constructor(name, handlers, options) {
    this.handlers = handlers;
    this.link = new Link(`/camera/${name}`, {
      onstate: (state, detail) => this._linked(state, detail),
      onmessage: (message) => this._told(message),
    });
    this.video = new RecorderEngine(VIDEO, this._output(VIDEO), { types: VIDEO_TYPES, mime: options.mime });
    this.audio = new RecorderEngine(AUDIO, this._output(AUDIO), { types: AUDIO_TYPES });
    /** @type {Tracks} */
    this.tracks = { video: null, audio: null, muted: false };
    this.lostAt = 0;
    this.since = 0;
    this.viewers = 0;
    this.wasOpen = false;
    this.pausedByViewers = false;
    this.asleep = false;
    this.slow = false;
    this.slowAt = 0;
    /** What each engine said when it gave up, by the number of its stream. @type {Record<number, string>} */
    this.failures = { [VIDEO]: "", [AUDIO]: "" };
    this.delivered = false;
    /** The pause the relay was told of last on this connection ("" is live), or null. @type {PauseReason | "" | null} */
    this.said = null;
    /** Streams the relay knows on this connection. @type {Set<number>} */
    this.announced = new Set();
    this.ticker = 0;
  }

  start() {
    this.since = performance.now();
    this.ticker = setInterval(() => this._tick(), TICK);
    this.link.open();
  }

  stop() {
    this._end();
    this.video.stop();
    this.audio.stop();
    this.link.close();
  }

  /** @param {Tracks} tracks */
  show(tracks) {
    if (tracks.video !== this.tracks.video) this.failures[VIDEO] = "";
    if (tracks.audio !== this.tracks.audio) this.failures[AUDIO] = "";
    if (!tracks.video && this.tracks.video) this.lostAt = performance.now();
    this.tracks = tracks;
    this._settle();
  }

  /** The picture has another size (the phone was turned): a fresh header says so. */
  resized() {
    if (this.video.running && this.tracks.video) this.video.start(this.tracks.video);
  }

  /** @returns {Status} */
  get status() {
    const { fps, bitsPerSecond } = this.video.stats;
    const reason = this._pause();
    return {
      state: this._state(reason),
      reason,
      viewers: this.viewers,
      slow: this.slow || this.video.quality < 1,
      failure: this.failures[VIDEO],
      mute: this.failures[AUDIO] !== "",
      since: this.since,
      fps: this.video.running ? fps : 0,
      bitsPerSecond: (this.video.running ? bitsPerSecond : 0) + (this.audio.running ? this.audio.stats.bitsPerSecond : 0),
      restarts: this.video.stats.restarts + this.audio.stats.restarts,
    };
  }

  /** @param {PauseReason | ""} reason @returns {FilmingState} */
  _state(reason) {
    if (this.link.state !== "open") return this.wasOpen || this.link.state === "waiting" ? "gone" : "connecting";
    if (reason) return "paused";
    return this.delivered && this.tracks.video ? "live" : "starting";
  }

  /** @returns {PauseReason | ""} */
  _pause() {
    if (this.pausedByViewers) return "viewers";
    const away = document.visibilityState !== "visible";
    const changing = !this.tracks.video && performance.now() - this.lostAt < CHANGE_GRACE;
    if (this.tracks.muted || (!this.tracks.video && !changing)) return away ? "background" : "interrupted";
    return this.asleep ? "background" : "";
  }

  /** @param {number} number @returns {import("./recorder.js").Output} */
  _output(number) {
    return {
      onstart: (mime) => {
        this.announced.add(number);
        this.link.send({ type: "stream", stream: number, mime });
      },
      onbytes: (blob) => {
        this.link.sendBytes(blob);
        if (number !== VIDEO) return;
        this.delivered = true;
        if (this.asleep) {
          this.asleep = false;
          this._settle();
        }
        if (!this.slow && this.link.buffered > this._mostWaiting()) this._hold();
      },
      onfailure: (text) => {
        this.failures[number] = text;
        console.warn(text);
      },
    };
  }

  /** @param {import("./link.js").LinkState} state @param {{id: string, text: string} | null} detail */
  _linked(state, detail) {
    if (state === "open") {
      this.wasOpen = true;
      this.pausedByViewers = false; // the relay asks again if it still wants a pause
    } else {
      this.said = null;
      this.announced.clear();
      this.delivered = false;
      this.slow = false;
      this.viewers = 0;
    }
    this._settle();
    if (state === "closed" && this._end()) this.handlers.onend(detail ? detail.id : "");
    this._report();
  }

  /** @returns {boolean} whether it was still going on */
  _end() {
    const going = this.ticker !== 0;
    clearInterval(this.ticker);
    this.ticker = 0;
    return going;
  }

  /** @param {any} message from the relay */
  _told(message) {
    if (message.type === "viewers") this.viewers = message.count;
    else if (message.type === "pause") this.pausedByViewers = true;
    else if (message.type === "resume") this.pausedByViewers = false;
    else if (message.type === "keyframe") this.video.keyframe();
    else if (message.type === "error") console.warn(`relay: ${message.id}: ${message.text}`);
    this._settle();
    this._report();
  }

  /** Makes the engines, and what the relay knows, agree with what is. */
  _settle() {
    const open = this.link.state === "open";
    const reason = this._pause();
    // While asleep the recorder stays: its next byte is what tells that the page is awake.
    const runs = open && (reason === "" || this.asleep);
    this._run(this.video, runs && !this.slow && !this.failures[VIDEO] ? this.tracks.video : null);
    this._run(this.audio, runs && !this.failures[AUDIO] ? this.tracks.audio : null);
    if (open && !this.tracks.audio && this.announced.delete(AUDIO)) this.link.send({ type: "end", stream: AUDIO });
    if (open) this._say(reason);
  }

  /** @param {RecorderEngine} engine @param {MediaStreamTrack | null} track */
  _run(engine, track) {
    if (engine.track === track) return;
    if (track) engine.start(track);
    else engine.stop();
  }

  /** @param {PauseReason | ""} reason */
  _say(reason) {
    if (reason === this.said) return;
    this.said = reason;
    this.link.send(reason ? { type: "state", state: "paused", reason } : { type: "state", state: "live" });
  }

  _mostWaiting() {
    return Math.max(ALWAYS_WAITING, (this.video.stats.bitsPerSecond / 8) * MOST_WAITING);
  }

  /** The network is behind: no more pictures until it has caught up, then smaller ones. Sound goes on; it is thirty times smaller. */
  _hold() {
    this.slow = true;
    this.slowAt = performance.now();
    this.video.quality = Math.max(LEAST_QUALITY, this.video.quality * LESS);
    this._settle();
  }

  _tick() {
    if (this.link.state === "open") {
      this._pace();
      const hidden = document.visibilityState !== "visible";
      if (!hidden) this.asleep = false;
      else if (this.video.running && this.video.stats.silence > ASLEEP) this.asleep = true;
      this._settle();
    }
    this._report();
  }

  /** Ends a hold when the network has caught up, and tries more bytes again after a quiet time. */
  _pace() {
    const now = performance.now();
    if (this.slow) this.slow = this.link.buffered > this._mostWaiting() * DRAINED;
    else if (this.video.quality < 1 && now - this.slowAt > QUIET) {
      this.slowAt = now;
      this.video.quality = Math.min(1, this.video.quality * MORE);
      this.resized();
    }
  }

  _report() {
    if (this.link.state !== "closed") this.handlers.onstatus(this.status);
  }
}
