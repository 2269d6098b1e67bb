// One camera on the air under one name: the link, the engines, and the rules for when they run.
//
//   const filming = new Filming("porch", {onstatus(status) {}, onend(reason) {}}, {choice: chooseEncoder(...)});
//   filming.show({video, audio, muted});   // whenever the lens has other tracks, or the system mutes them
//   filming.start();
//   filming.stop();
//
// The engines run while the link is open, the lens gives pictures and the relay has not asked for a pause. Whatever changes, _settle()
// compares what should be with what is; nothing else starts or stops an engine. Which engines they are is the choice of ability.js; a
// WebCodecs engine that gives up is replaced by a recorder.

import { recorderDelays } from "./ability.js";
import { CodecsEngine, CodecsSoundEngine } from "./codecs.js";
import { Link } from "./link.js";
import { AUDIO_TYPES, RecorderEngine, VIDEO_TYPES } from "./recorder.js";

/** @typedef {"connecting" | "gone" | "paused" | "starting" | "live"} FilmingState
 *  connecting: for the first time; gone: the relay is away, trying again; starting: no byte was sent yet */
/** @typedef {"viewers" | "background" | "interrupted"} PauseReason as in docs/protocol.md */
/** @typedef {{state: FilmingState, reason: PauseReason | "", viewers: number, slow: boolean, failure: string, mute: boolean, since: number,
 *            fps: number | null, bitsPerSecond: number, restarts: number, encoder: "codecs" | "recorder" | "", codec: string,
 *            delay: number | null, dropped: import("./recorder.js").Dropped, remark: string}} Status
 *  slow: the network does not take what the camera makes; failure: what the recorder of the pictures said; mute: there is
 *  none for the sound; since: performance.now() of start(); encoder, codec: what films, "" before it is chosen; delay: ms from capture to
 *  sending; dropped: pictures left out before they were encoded; remark: why it is not the encoder that was chosen, or "" */
/** @typedef {RecorderEngine | CodecsEngine | CodecsSoundEngine} Engine */
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

/** Milliseconds for which pictures are left out because of the network before the bit rate goes down, and between two such steps. */
const DROPS_GO_ON = 1000;

/** A network that could not take the pictures gets fewer bytes per second from then on, and, after a quiet time in ms, more again. */
const LESS = 0.65;
const MORE = 1.3;
const LEAST_QUALITY = 0.2;
const QUIET = 20000;

/** Milliseconds without a byte after which a hidden page counts as asleep. */
const ASLEEP = 1500;

/** Milliseconds without a track before it counts as an interruption: changing to the other lens takes up to a second on a phone. */
const CHANGE_GRACE = 1500;

/** The numbers of an engine that is not there yet. @type {import("./recorder.js").Stats} */
const NOTHING = { fps: 0, bitsPerSecond: 0, delay: null, mime: "", restarts: 0, silence: 0, dropped: { encoder: 0, network: 0 } };

export class Filming {
  /**
   * @param {string} name of the camera
   * @param {{onstatus: (status: Status) => void, onend: (reason: string) => void}} handlers onend: the relay has ended it, with the id of
   *     its error, such as `taken-over`
   * @param {{choice: Promise<import("./ability.js").Choice>, mime?: string}} options choice: what films; mime: the only type a recorder may
   *     record the picture as
   */
  constructor(name, handlers, options) {
    this.handlers = handlers;
    this.link = new Link(`/camera/${name}`, {
      onstate: (state, detail) => this._linked(state, detail),
      onmessage: (message) => this._told(message),
      pingFields: () => this._encodeTime(),
    });
    this.options = options;
    /** Before it is chosen, null. @type {RecorderEngine | CodecsEngine | null} */
    this.video = null;
    /** @type {RecorderEngine | CodecsSoundEngine | null} */
    this.audio = null;
    /** @type {import("./ability.js").Delays | null} */
    this.recorderDelays = null;
    /** What WebCodecs can film with, the one that does first. @type {string[]} */
    this.codecs = [];
    this.drawn = false;
    this.remark = "";
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
    /** Of pictures left out because of the network: how many so far, when the last one was, and since when it goes on (0: it does not). */
    this.networkDrops = 0;
    this.droppedAt = 0;
    this.droppingSince = 0;
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
    this.options.choice.then((choice) => this._equip(choice));
  }

  stop() {
    this._end();
    if (this.video) this.video.stop();
    if (this.audio) this.audio.stop();
    this.link.close();
  }

  /** @param {import("./ability.js").Choice} choice */
  _equip(choice) {
    if (this.ticker === 0) return; // stopped meanwhile
    this.recorderDelays = recorderDelays(choice);
    this.remark = choice.remark;
    this.codecs = choice.codecs.slice();
    this.drawn = choice.drawn;
    this.video = this._engineOfPictures();
    this.audio = choice.sound ? new CodecsSoundEngine(AUDIO, this._output(AUDIO), { link: this.link }) : this._recorderOfSound();
    this._settle();
    this._report();
  }

  _engineOfPictures() {
    const { link, drawn, codecs } = this;
    if (codecs.length > 0) return new CodecsEngine(VIDEO, this._output(VIDEO), { link, codec: codecs[0], drawn });
    const halfTrip = () => (this.link.roundTrip || 0) / 2;
    const { mime } = this.options;
    return new RecorderEngine(VIDEO, this._output(VIDEO), { types: VIDEO_TYPES, mime, delays: this.recorderDelays, halfTrip });
  }

  _recorderOfSound() {
    return new RecorderEngine(AUDIO, this._output(AUDIO), { types: AUDIO_TYPES });
  }

  /** @param {Tracks} tracks */
  show(tracks) {
    if (tracks.video !== this.tracks.video) this.failures[VIDEO] = "";
    if (tracks.audio !== this.tracks.audio) this.failures[AUDIO] = "";
    if (!tracks.video && this.tracks.video) this.lostAt = performance.now();
    this.tracks = tracks;
    this._settle();
  }

  /** The picture has another size (the phone was turned). */
  resized() {
    if (this.video) this.video.turned();
  }

  /** @returns {Status} */
  get status() {
    const reason = this._pause();
    const video = this.video ? this.video.stats : NOTHING;
    const audio = this.audio ? this.audio.stats : NOTHING;
    const seen = this.video !== null && this.video.running;
    const heard = this.audio !== null && this.audio.running;
    return {
      state: this._state(reason),
      reason,
      viewers: this.viewers,
      slow: this.slow || this.droppingSince > 0 || (this.video !== null && this.video.quality < 1),
      failure: this.failures[VIDEO],
      mute: this.failures[AUDIO] !== "",
      since: this.since,
      fps: seen ? video.fps : 0,
      bitsPerSecond: (seen ? video.bitsPerSecond : 0) + (heard ? audio.bitsPerSecond : 0),
      restarts: video.restarts + audio.restarts,
      encoder: this.video === null ? "" : this.video instanceof CodecsEngine ? "codecs" : "recorder",
      codec: this.codecs[0] || "",
      delay: video.delay,
      dropped: video.dropped,
      remark: this.remark,
    };
  }

  /** For the relay: µs from capture to sending. */
  _encodeTime() {
    const delay = this.video && this.video.running ? this.video.stats.delay : null;
    return delay === null ? {} : { encode: Math.round(delay * 1000) };
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
      onstart: (mime, facts) => {
        this.announced.add(number);
        this.link.send(Object.assign({ type: "stream", stream: number, mime }, facts));
      },
      onbytes: (bytes) => {
        this.link.sendBytes(bytes);
        if (number !== VIDEO || !this.video) return;
        this.delivered = true;
        if (this.asleep) {
          this.asleep = false;
          this._settle();
        }
        if (!this.video.leavesOut && !this.slow && this.link.buffered > this._mostWaiting()) this._hold(this.video);
      },
      onfailure: (text) => {
        console.warn(text);
        this._giveWay(number, text);
      },
    };
  }

  /** An engine has given up. A recorder takes the place of WebCodecs; it has no other. @param {number} number @param {string} text */
  _giveWay(number, text) {
    if (number === VIDEO && this.video instanceof CodecsEngine) {
      this.codecs = [];
      this.video = this._engineOfPictures();
      this.remark = "WebCodecs has failed on this phone.";
    } else if (number === AUDIO && this.audio instanceof CodecsSoundEngine) this.audio = this._recorderOfSound();
    else this.failures[number] = text;
    this._settle();
  }

  /** A viewer's browser does not decode this codec: another one, if there is. @param {string} codec as the relay calls it */
  _avoid(codec) {
    const family = codec.split(".")[0];
    if (!(this.video instanceof CodecsEngine) || !this.codecs[0].startsWith(family)) return;
    this.video.stop();
    this.codecs.shift();
    this.video = this._engineOfPictures();
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
    else if (message.type === "keyframe") {
      if (this.video) this.video.keyframe();
    } else if (message.type === "unplayable") this._avoid(message.codec);
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

  /** @param {Engine | null} engine @param {MediaStreamTrack | null} track */
  _run(engine, track) {
    if (!engine || engine.track === track) return;
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
    return Math.max(ALWAYS_WAITING, this.video ? (this.video.stats.bitsPerSecond / 8) * MOST_WAITING : 0);
  }

  /** The network is behind: no more pictures until it has caught up, then smaller ones. Sound goes on; it is thirty times smaller.
   *  @param {RecorderEngine | CodecsEngine} video */
  _hold(video) {
    this.slow = true;
    this._lower(video);
    this._settle();
  }

  /** @param {RecorderEngine | CodecsEngine} video */
  _lower(video) {
    this.slowAt = performance.now();
    video.quality = Math.max(LEAST_QUALITY, video.quality * LESS);
  }

  _tick() {
    if (this.link.state === "open") {
      if (this.video) this._pace(this.video);
      const hidden = document.visibilityState !== "visible";
      if (!hidden) this.asleep = false;
      else if (this.video && this.video.running && this.video.stats.silence > ASLEEP) this.asleep = true;
      this._settle();
    }
    this._report();
  }

  /** Ends a hold when the network has caught up, gives fewer bytes to one that goes on being behind, and tries more after a quiet time.
   *  @param {RecorderEngine | CodecsEngine} video */
  _pace(video) {
    const now = performance.now();
    const drops = video.stats.dropped.network;
    if (drops > this.networkDrops) {
      this.droppedAt = now;
      this.droppingSince = this.droppingSince || now;
    } else if (now - this.droppedAt > DROPS_GO_ON) this.droppingSince = 0;
    this.networkDrops = drops;
    if (this.slow) this.slow = this.link.buffered > this._mostWaiting() * DRAINED;
    else if (this.droppingSince > 0) {
      if (now - Math.max(this.droppingSince, this.slowAt) > DROPS_GO_ON) this._lower(video);
    } else if (video.quality < 1 && now - this.slowAt > QUIET) {
      this.slowAt = now;
      video.quality = Math.min(1, video.quality * MORE);
      if (!video.leavesOut) video.turned(); // a recorder has its bit rate from its start
    }
  }

  _report() {
    if (this.link.state !== "closed") this.handlers.onstatus(this.status);
  }
}
