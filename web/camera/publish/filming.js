// One camera on the air under one name: the link, the engines, and the rules for when they run.
//
//   const filming = new Filming("porch", {onstatus(status) {}, onend(reason) {}}, {choice: chooseEncoder(...)});
//   filming.show({video, audio, muted, still, sound});   // whenever the lens has other tracks, or the system mutes them
//   filming.hears(level);                  // how loud the microphone is, see level-meter.js
//   filming.start();
//   filming.stop();
//
// The engines run while the link is open, the lens gives pictures and the relay has not asked for a pause. Whatever changes, _settle()
// compares what should be with what is; nothing else starts or stops an engine. Which engines they are is the choice of encoder-trial.js; a
// WebCodecs engine that gives up is replaced by a recorder, and the other way round. How much of the picture the network gets is the choice
// of network-pace.js.

import { recorderDelays } from "../encode/encoder-trial.js";
import { refusalOf, relay } from "../../shared/relay/absence.js";
import { familyOf } from "../../shared/relay/codec-families.js";
import { CodecsEngine, CodecsSoundEngine } from "../encode/webcodecs.js";
import { elsewhere } from "../../shared/relay/moved-relay.js";
import { lastSession } from "../../shared/relay/login.js";
import { Link } from "../../shared/relay/relay-link.js";
import { AUDIO_TYPES, RecorderEngine, VIDEO_TYPES, bitrateFor } from "../encode/media-recorder.js";
import { Uplink } from "./network-pace.js";

/** @typedef {"connecting" | "gone" | "paused" | "starting" | "live"} FilmingState
 *  connecting: for the first time; gone: the relay is away, trying again; starting: no byte was sent yet */
/** @typedef {"viewers" | "unwatched" | "background" | "interrupted"} PauseReason as in docs/protocol.md */
/** The relay's `pause`. @typedef {{reason: "viewers" | "unwatched", by: string[], votes: number, watching: number}} Pause */
/** @typedef {{state: FilmingState, reason: PauseReason | "", pause: Pause | null, restarting: boolean, viewers: number, slow: boolean,
 *            away: import("../../shared/relay/absence.js").Away | null, refusal: import("../../shared/relay/absence.js").Refusal | null, held: boolean, thin: boolean,
 *            failure: string, mute: boolean, since: number, fps: number | null, bitsPerSecond: number,
 *            restarts: {video: number, audio: number}, silence: {video: number, audio: number}, encoder: "codecs" | "recorder" | "",
 *            codec: string, delay: number | null, dropped: import("../encode/media-recorder.js").Dropped, remark: string,
 *            transport: import("../../shared/relay/relay-link.js").Transport}} Status
 *  pause: what the relay asked for, or null; restarting: the relay has said good-bye a moment ago, and may be back soon; away: else since
 *  when it does not answer, null while that may be a matter of a moment; refusal: why it does not let this camera in; slow: the network gets less
 *  than it would if it were good, held: nothing at all just now, thin: not every picture; failure: what the recorder of the pictures said;
 *  mute: there is none for the sound; since: performance.now() of start(); restarts: of engines that gave nothing; silence: ms for
 *  which no byte came although there should be some; encoder, codec: what films, "" before it is chosen; delay: ms from capture to sending;
 *  dropped: pictures left out before they were encoded; remark: why it is not the encoder that was chosen, or ""; transport: how it goes to the relay */
/** @typedef {RecorderEngine | CodecsEngine | CodecsSoundEngine} Engine */
/** What films the pictures: WebCodecs with this codec, or, where that is "", a recorder with one of these types.
 *  @typedef {{codec: string, types: string[]}} Way */
/** still: the lens gives nothing new although it looks well; sound: what the microphone does
 *  @typedef {{video: MediaStreamTrack | null, audio: MediaStreamTrack | null, muted: boolean, still: boolean,
 *             sound?: import("../lens/microphone.js").Hearing}} Tracks */

/** Numbers of the streams. */
const VIDEO = 1;
const AUDIO = 2;

/** What is said to the relay when a person switches the camera off (docs/protocol.md, "States"). */
export const STOPPED = "stop";

/** Milliseconds between two looks at buffers and silence, and looks from one probe of the network to the next. */
const TICK = 250;
const TICKS_PER_PROBE = 2;

/** Milliseconds without a byte after which a hidden page counts as asleep. */
const ASLEEP = 1500;

/** Milliseconds without a track before it counts as an interruption: changing to the other lens takes up to a second on a phone. */
const CHANGE_GRACE = 1500;

/** Families of codecs: this page's sound stays as it is. */
const SOUNDS = ["opus", "aac"];

/** Nobody has watched for so long (ms): what viewers have said about codecs counts no more. A page that is reloaded is back by then. */
const ALONE = 10000;

/** Pictures per second that the relay would believe (docs/protocol.md). */
const RATES = { least: 0.1, most: 240 };

/** The numbers of an engine that is not there yet. @type {import("../encode/media-recorder.js").Stats} */
const NOTHING = { fps: 0, bitsPerSecond: 0, delay: null, mime: "", restarts: 0, silence: 0, dropped: { encoder: 0, network: 0 } };

export class Filming {
  /**
   * @param {string} name of the camera
   * @param {{onstatus: (status: Status) => void, onend: (reason: string) => void, onfit: (scale: number, most: number) => void,
   *          onorient: (wish: import("../../shared/types.js").Place) => void}} handlers
   *     onend: the relay has ended it, with the id of its error, such as `taken-over`; onfit: what the network takes of the lens' picture:
   *     the share of its sides, and pictures per second at most; onorient: viewers wish the lens to look there (the relay's `orient`)
   * @param {{choice: Promise<import("../encode/encoder-trial.js").Choice>, label?: string, mime?: string}} options choice: what films; label: what people
   *        call this camera; mime: the only type a recorder may
   *     record the picture as
   */
  constructor(name, handlers, options) {
    this.handlers = handlers;
    this.link = new Link(`/camera/${name}`, {
      onstate: (state, detail) => this._linked(state, detail),
      onmessage: (message) => this._told(message),
      onpong: (message) => {
        relay.heard();
        this.uplink.answered(message.t, message.time / 1000 - message.t, performance.now());
      },
      pingFields: (moment) => this._asks(moment),
      elsewhere: elsewhere(lastSession),
    });
    this.uplink = new Uplink();
    this.options = options;
    /** Before it is chosen, null. @type {RecorderEngine | CodecsEngine | null} */
    this.video = null;
    /** @type {RecorderEngine | CodecsSoundEngine | null} */
    this.audio = null;
    /** @type {import("../encode/encoder-trial.js").Delays | null} */
    this.recorderDelays = null;
    /** What WebCodecs can film with, the one that does first. @type {string[]} */
    this.codecs = [];
    /** Those to try if a recorder gives nothing. @type {string[]} */
    this.spare = [];
    /** What films the pictures. @type {Way} */
    this.way = { codec: "", types: VIDEO_TYPES };
    /** The families of codecs that all viewers play, as far as the relay has said that it matters. @type {string[] | null} */
    this.plays = null;
    /** Those that were tried for the viewers' sake and did not work. @type {Set<string>} */
    this.unfit = new Set();
    this.watchedAt = 0; // performance.now() when somebody watched last
    this.drawn = false;
    this.soundCodecs = false;
    this.remark = "";
    /** @type {Tracks} */
    this.tracks = { video: null, audio: null, muted: false, still: false };
    this.lostAt = -Infinity;
    this.since = 0;
    this.viewers = 0;
    this.wasOpen = false;
    /** What the relay asks for. @type {Pause | null} */
    this.asked = null;
    /** The page is hidden and gives nothing. */
    this.dozing = false;
    /** Why the relay does not let this camera in, as it said at the last try. @type {import("../../shared/relay/absence.js").Refusal | null} */
    this.refusal = null;
    /** Restarts of engines that are gone, by the number of the stream. @type {Record<number, number>} */
    this.pastRestarts = { [VIDEO]: 0, [AUDIO]: 0 };
    /** By the number of the stream: what should be filmed just now, and when that began or bytes of it were sent last.
     *  @type {Record<number, {track: MediaStreamTrack | null, at: number}>} */
    this.wanted = { [VIDEO]: { track: null, at: 0 }, [AUDIO]: { track: null, at: 0 } };
    this.ticks = 0;
    /** What each engine said when it gave up, by the number of its stream. @type {Record<number, string>} */
    this.failures = { [VIDEO]: "", [AUDIO]: "" };
    this.delivered = false;
    /** The state that the relay was told last on this connection, as JSON, or null. @type {string | null} */
    this.said = null;
    /** What the microphone does, as far as that is known. @type {string} */
    this.hearing = "";
    /** How loud it was lately, RMS 0..1. @type {number | null} */
    this.level = null;
    /** What the lens can turn. @type {import("../../shared/types.js").Axes} */
    this.axes = {};
    /** Streams the relay knows on this connection. @type {Set<number>} */
    this.announced = new Set();
    this.ticker = 0;
  }

  start() {
    this.since = performance.now();
    relay.begin();
    this.ticker = setInterval(() => this._tick(), TICK);
    this.link.open();
    this.options.choice.then((choice) => this._equip(choice));
  }

  /** @param {string} [reason] for the relay: STOPPED, or "" where it was not a person who wanted the end */
  stop(reason = "") {
    this._end();
    if (this.video) this.video.stop();
    if (this.audio) this.audio.stop();
    this.link.close(reason);
  }

  /** @param {import("../encode/encoder-trial.js").Choice} choice */
  _equip(choice) {
    if (this.ticker === 0) return; // stopped meanwhile
    this.recorderDelays = recorderDelays(choice);
    this.remark = choice.remark;
    this.codecs = choice.codecs;
    this.spare = choice.spare;
    this.drawn = choice.drawn;
    this.soundCodecs = choice.sound;
    this._equipPictures();
    this._equipSound();
    this._settle();
    this._report();
  }

  /** Makes the engine for pictures, instead of the one that there may be. */
  _equipPictures() {
    const { link, drawn } = this;
    this._retire(VIDEO, this.video);
    this.way = this._best(this.plays) || /** @type {Way} */ (this._best(null));
    const { codec, types } = this.way;
    if (codec) this.video = new CodecsEngine(VIDEO, this._output(VIDEO), { link, codec, drawn });
    else {
      const halfTrip = () => (this.link.roundTrip || 0) / 2;
      const { mime } = this.options;
      const replaceable = this.spare.length > 0 || this.plays !== null;
      const more = { mime, delays: this.recorderDelays, halfTrip, replaceable };
      this.video = new RecorderEngine(VIDEO, this._output(VIDEO), Object.assign({ types }, more));
    }
    this._adjust(this.video);
  }

  /** The best way to film pictures that all viewers play. @param {string[] | null} plays families; null: any @returns {Way | null} */
  _best(plays) {
    const fits = (/** @type {string} */ name) => plays === null || (plays.includes(familyOf(name)) && !this.unfit.has(familyOf(name)));
    const codec = this.codecs.find(fits);
    if (codec) return { codec, types: [] };
    const { mime } = this.options;
    const types = (mime ? [mime] : VIDEO_TYPES).filter(fits);
    if (plays === null) return { codec: "", types };
    if (typeof MediaRecorder !== "undefined" && types.some((type) => MediaRecorder.isTypeSupported(type))) return { codec: "", types };
    const spare = this.spare.find(fits);
    return spare ? { codec: spare, types: [] } : null;
  }

  _equipSound() {
    this._retire(AUDIO, this.audio);
    this.audio = this.soundCodecs
      ? new CodecsSoundEngine(AUDIO, this._output(AUDIO), { link: this.link })
      : new RecorderEngine(AUDIO, this._output(AUDIO), { types: AUDIO_TYPES });
  }

  /** @param {number} number @param {Engine | null} engine */
  _retire(number, engine) {
    if (!engine) return;
    engine.stop();
    this.pastRestarts[number] += engine.stats.restarts;
  }

  /** @param {Tracks} tracks */
  show(tracks) {
    // What could do nothing with the old track has another try with the new one, with everything it can do.
    if (tracks.video !== this.tracks.video && this.failures[VIDEO]) this._equipPictures();
    if (tracks.audio !== this.tracks.audio && this.failures[AUDIO]) this._equipSound();
    if (tracks.video !== this.tracks.video) this.failures[VIDEO] = "";
    if (tracks.audio !== this.tracks.audio) this.failures[AUDIO] = "";
    if (!tracks.video && this.tracks.video) this.lostAt = performance.now();
    this.tracks = tracks;
    if (tracks.sound && tracks.sound !== "asking") this.hearing = tracks.sound;
    this._settle();
  }

  /** @param {number | null} level of the loudest moment of the last 2 s, RMS 0..1; null where nobody can know */
  hears(level) {
    this.level = level;
  }

  /** The lens can turn so, and stands there. @param {import("../../shared/types.js").Axes} axes */
  turns(axes) {
    const known = Object.keys(this.axes).length > 0;
    this.axes = axes;
    if (known || Object.keys(axes).length > 0) this._sendTurns();
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
    const { weak, held, step } = this.uplink;
    return {
      state: this._state(reason),
      reason,
      pause: this.asked,
      restarting: relay.restarting,
      away: this.link.state === "open" ? null : relay.away(),
      refusal: this.refusal,
      viewers: this.viewers,
      slow: weak,
      held,
      thin: held || step.fps < Infinity,
      failure: this.failures[VIDEO],
      mute: this.failures[AUDIO] !== "",
      since: this.since,
      fps: seen ? video.fps : 0,
      bitsPerSecond: (seen ? video.bitsPerSecond : 0) + (heard ? audio.bitsPerSecond : 0),
      restarts: { video: video.restarts + this.pastRestarts[VIDEO], audio: audio.restarts + this.pastRestarts[AUDIO] },
      silence: { video: this._silence(VIDEO), audio: this._silence(AUDIO) },
      encoder: this.video === null ? "" : this.video instanceof CodecsEngine ? "codecs" : "recorder",
      codec: this.way.codec,
      delay: video.delay,
      dropped: video.dropped,
      remark: this.remark,
      transport: this.link.transport,
    };
  }

  /** @param {number} moment when the ping is sent
   *  @returns {{encode?: number, level?: number}} for the relay: µs from capture to sending, and how loud the microphone is */
  _asks(moment) {
    this.uplink.asked(moment);
    const delay = this.video && this.video.running ? this.video.stats.delay : null;
    const { level } = this;
    return { ...(delay !== null && { encode: Math.round(delay * 1000) }), ...(level !== null && { level: Number(level.toPrecision(3)) }) };
  }

  /** @param {PauseReason | ""} reason @returns {FilmingState} */
  _state(reason) {
    if (this.link.state !== "open") return this.wasOpen || this.link.state === "waiting" ? "gone" : "connecting";
    if (reason) return "paused";
    return this.delivered && this.tracks.video ? "live" : "starting";
  }

  /** @returns {PauseReason | ""} */
  _pause() {
    if (this.asked) return this.asked.reason;
    const away = document.visibilityState !== "visible";
    const changing = !this.tracks.video && performance.now() - this.lostAt < CHANGE_GRACE;
    if (this.tracks.muted || (!this.tracks.video && !changing)) return away ? "background" : "interrupted";
    return this.dozing ? "background" : "";
  }

  /** @param {number} number @returns {import("../encode/media-recorder.js").Output} */
  _output(number) {
    return {
      onstart: (mime, facts) => {
        this.announced.add(number);
        const { label } = this.options;
        this.link.send(Object.assign({ type: "stream", stream: number, mime }, label && { label }, facts, number === VIDEO && this._pictureFacts()));
      },
      onbytes: (bytes) => {
        this.link.sendBytes(bytes);
        this.wanted[number].at = performance.now();
        if (number !== VIDEO || !this.video) return;
        this.delivered = true;
        if (this.dozing) {
          this.dozing = false;
          this._settle();
        }
      },
      onfailure: (text) => {
        console.warn(text);
        this._giveWay(number, text);
      },
    };
  }

  /** An engine has given up. What was there for the viewers' sake makes room for what films best here; a recorder takes the place of
   *  WebCodecs, and WebCodecs once the place of a recorder.
   *  @param {number} number @param {string} text */
  _giveWay(number, text) {
    if (number === VIDEO && this.tracks.still) this._equipPictures(); // no engine can film what does not move
    else if (number === VIDEO && this.plays) {
      for (const name of [this.way.codec, ...this.way.types]) this.unfit.add(familyOf(name));
      this.plays = null;
      this._equipPictures();
    } else if (number === VIDEO && this.video instanceof CodecsEngine) {
      this.codecs = [];
      this.remark = "WebCodecs has failed on this phone.";
      this._equipPictures();
    } else if (number === VIDEO && this.spare.length > 0) {
      this.codecs = this.spare;
      this.spare = [];
      this.remark = "The browser's recorder has failed on this phone.";
      this._equipPictures();
    } else if (number === AUDIO && this.audio instanceof CodecsSoundEngine) {
      this.soundCodecs = false;
      this._equipSound();
    } else this.failures[number] = text;
    this._settle();
  }

  /** Films so that all viewers play it, if that is possible. @param {string[] | null} plays families of codecs; null: as it is best here */
  _suit(plays) {
    const best = this._best(plays);
    if (!this.video || !best) return;
    this.plays = plays;
    if (best.codec !== this.way.codec || best.types.join() !== this.way.types.join()) this._equipPictures();
  }

  /** @param {import("../../shared/relay/relay-link.js").LinkState} state @param {{id: string, text: string} | null} detail */
  _linked(state, detail) {
    relay.linked(state, detail, this.link.moved);
    if (state === "waiting") this.refusal = refusalOf(detail) || this.refusal; // one try without an answer takes nothing back
    if (state === "open") {
      this.refusal = null;
      this.wasOpen = true;
      this.watchedAt = performance.now();
      this.asked = null; // the relay asks again if it still wants a pause
      if (Object.keys(this.axes).length > 0) this._sendTurns();
    } else {
      this.said = null;
      this.announced.clear();
      this.delivered = false;
      this.viewers = 0;
    }
    this.uplink.restart();
    if (this.video) this._adjust(this.video);
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
    else if (message.type === "pause") this.asked = pauseOf(message);
    else if (message.type === "resume") {
      this.asked = null;
      if (!this.tracks.video) this.lostAt = performance.now(); // a lens that was let go as well needs a moment
    } else if (message.type === "keyframe") {
      if (this.video) this.video.keyframe();
    } else if (message.type === "unplayable") {
      if (!SOUNDS.includes(familyOf(message.codec))) this._suit(message.plays);
    }
    else if (message.type === "orient") this.handlers.onorient(message);
    else if (message.type === "error") console.warn(`relay: ${message.id}: ${message.text}`);
    this._settle();
    this._report();
  }

  /** What the relay is told of the pictures, whichever engine films them. @returns {{interval?: number, sound: boolean}} interval: µs */
  _pictureFacts() {
    const { video, audio } = this.tracks;
    const rate = (video && video.getSettings().frameRate) || 0;
    const known = rate >= RATES.least && rate <= RATES.most;
    return { ...(known && { interval: Math.round(1e6 / rate) }), sound: audio !== null && !this.uplink.silenced };
  }

  _sendTurns() {
    if (this.link.state === "open") this.link.send(Object.assign({ type: "turns" }, this.axes));
  }

  /** Makes the engines, and what the relay knows, agree with what is. */
  _settle() {
    const open = this.link.state === "open";
    const reason = this._pause();
    // While the page dozes the recorder stays: its next byte is what tells that the page is awake.
    const runs = open && (reason === "" || (reason === "background" && this.dozing));
    const { held, silenced } = this.uplink;
    const sends = this.video !== null && (this.video.leavesOut || !held);
    this._run(VIDEO, this.video, runs && sends ? this.tracks.video : null);
    this._run(AUDIO, this.audio, runs && !silenced ? this.tracks.audio : null);
    if (open && !this.tracks.audio && this.announced.delete(AUDIO)) this.link.send({ type: "end", stream: AUDIO });
    if (open) this._say(reason);
  }

  /** @param {number} number @param {Engine | null} engine @param {MediaStreamTrack | null} wanted */
  _run(number, engine, wanted) {
    if (!engine) return;
    if (wanted !== this.wanted[number].track) this.wanted[number] = { track: wanted, at: performance.now() };
    const track = this.failures[number] ? null : wanted;
    if (engine.track === track) return;
    if (track) engine.start(track);
    else engine.stop();
  }

  /** @param {number} number @returns {number} ms for which no byte came although there should be some */
  _silence(number) {
    const { track, at } = this.wanted[number];
    const engine = number === VIDEO ? this.video : this.audio;
    if (!track || !engine || !engine.able || (number === VIDEO && this.uplink.held)) return 0;
    return performance.now() - at;
  }

  /** @param {PauseReason | ""} reason */
  _say(reason) {
    const sound = this._hearing();
    const message = { type: "state", state: reason ? "paused" : "live", ...(reason && { reason }), ...(sound && { sound }) };
    const text = JSON.stringify(message);
    if (text === this.said) return;
    this.said = text;
    this.link.send(message);
  }

  /** What the relay is told of the sound (docs/protocol.md, "Sound"). @returns {string} "" while it is not known */
  _hearing() {
    if (this.hearing !== "on" && this.hearing !== "silent") return this.hearing;
    if (this.failures[AUDIO]) return "failed";
    return this.uplink.silenced ? "slow" : this.hearing;
  }

  /** @param {RecorderEngine | CodecsEngine} video */
  _adjust(video) {
    const { quality, scale, fps } = this.uplink.step;
    const { held } = this.uplink;
    const other = video.quality !== quality;
    if (other) video.quality = quality;
    if (video instanceof CodecsEngine) {
      if (video.most !== fps) video.most = fps;
      video.held = held;
    } else if (other && !held) video.turned(); // a recorder has its bit rate from its start
    this.handlers.onfit(scale, video.leavesOut ? Infinity : fps);
  }

  _tick() {
    if (this.link.state === "open") {
      this.ticks += 1;
      if (this.viewers > 0) this.watchedAt = performance.now();
      else if (this.plays && performance.now() - this.watchedAt > ALONE) this._suit(null);
      if (this.ticks % TICKS_PER_PROBE === 0) this.link.probe();
      if (this.video) this._pace(this.video);
      const hidden = document.visibilityState !== "visible";
      if (!hidden) this.dozing = false;
      else if (this.video && this.video.running && this.video.stats.silence > ASLEEP) this.dozing = true;
      this._settle();
    }
    this._report();
  }

  /** Gives the network what it takes. @param {RecorderEngine | CodecsEngine} video */
  _pace(video) {
    const track = this.tracks.video;
    const sends = track !== null && this._pause() === "" && (video.running || this.uplink.held);
    const waiting = sends ? (this.link.buffered * 8000) / bitrateFor(track, video.quality) : 0;
    const sent = sends ? { waiting, drops: video.stats.dropped.network } : null;
    if (this.uplink.look(sent, performance.now())) this._adjust(video);
  }

  _report() {
    if (this.link.state !== "closed") this.handlers.onstatus(this.status);
  }
}

/** @param {any} message the relay's `pause` @returns {Pause} */
function pauseOf({ reason, by, votes, watching }) {
  return { reason: reason === "unwatched" ? reason : "viewers", by: by || [], votes: votes || 0, watching: watching || 0 };
}
