// One camera on the air under one name: the link, the engines, and the rules for when they run.
//
//   const filming = new Filming("porch", {onstatus(status) {}, onend(reason) {}}, {choice:
//   chooseEncoder(...)}); // whenever the lens has other tracks, or the system mutes them
//   filming.show({video, audio, muted, still, sound});
//   filming.hears(level);                  // how loud the microphone is, see level-meter.js
//   filming.start();
//   filming.stop();
//
// The engines run while the link is open, the lens gives pictures and the relay has not asked for a
// pause. Whatever changes, _settle() compares what should be with what is; nothing else starts or
// stops an engine. Which engines they are is engines.js' matter, how much of the picture the
// network gets is the choice of network-pace.js.

import { refusalOf, relay } from "../../shared/relay/absence.js";
import { familyOf } from "../../shared/relay/codec-families.js";
import { AUDIO, Engines, VIDEO } from "./engines.js";
import { CodecsEngine } from "../encode/webcodecs.js";
import { elsewhere } from "../../shared/relay/moved-relay.js";
import { lastSession } from "../../shared/relay/login.js";
import { Link } from "../../shared/relay/relay-link.js";
import { bitrateFor } from "../encode/media-recorder.js";
import { CameraReport } from "./camera-report.js";
import { Pauses } from "./pauses.js";
import { Uplink } from "./network-pace.js";
import { version } from "../../shared/page/version.js";

/**
 * @typedef {"connecting" | "gone" | "paused" | "starting" | "live"} FilmingState connecting: for
 * the first time; gone: the relay is away, trying again; starting: no byte was sent yet
 */
/** @typedef {import("./pauses.js").PauseReason} PauseReason */
/** @typedef {import("./pauses.js").Pause} Pause */
/**
 * @typedef {{state: FilmingState, reason: PauseReason | "", pause: Pause | null, restarting:
 *            boolean, viewers: number, slow: boolean, away:
 *            import("../../shared/relay/absence.js").Away | null, refusal:
 *            import("../../shared/relay/absence.js").Refusal | null, held: boolean, thin: boolean,
 *            failure: string, mute: boolean, since: number, fps: number | null, bitsPerSecond:
 *            number, restarts: {video: number, audio: number}, silence: {video: number, audio:
 *            number}, encoder: "codecs" | "recorder" | "", codec: string, delay: number | null,
 *            dropped: import("../encode/media-recorder.js").Dropped, remark: string, transport:
 *            import("../../shared/relay/relay-link.js").Transport}} Status
 * pause: what the relay asked for, or null; restarting: the relay has said good-bye a moment ago,
 * and may be back soon; away: else since when it does not answer, null while that may be a matter
 * of a moment; refusal: why it does not let this camera in; slow: the network gets less than it
 * would if it were good, held: nothing at all just now, thin: not every picture; failure: what the
 * recorder of the pictures said; mute: there is none for the sound; since: performance.now() of
 * start(); restarts: of engines that gave nothing; silence: ms for which no byte came although
 * there should be some; encoder, codec: what films, "" before it is chosen; delay: ms from capture
 * to sending; dropped: pictures left out before they were encoded; remark: why it is not the
 * encoder that was chosen, or ""; transport: how it goes to the relay
 */
/**
 * still: the lens gives nothing new although it looks well; sound: what the microphone does
 * @typedef {{video: MediaStreamTrack | null, audio: MediaStreamTrack | null, muted: boolean, still:
 *             boolean, sound?: import("../lens/microphone.js").Hearing}} Tracks
 */

/** What is said to the relay when a person switches the camera off (docs/protocol.md, "States"). */
export const STOPPED = "stop";

/**
 * Milliseconds between two looks at buffers and silence, and looks from one probe of the network to
 * the next.
 */
const TICK = 250;
const TICKS_PER_PROBE = 2;

/** Families of codecs: this page's sound stays as it is. */
const SOUNDS = ["opus", "aac"];

/**
 * Nobody has watched for so long (ms): what viewers have said about codecs counts no more. A page
 * that is reloaded is back by then.
 */
const ALONE = 10000;

/** Pictures per second that the relay would believe (docs/protocol.md). */
const RATES = { least: 0.1, most: 240 };

export class Filming {
  /**
   * @param {string} name of the camera
   * @param {{onstatus: (status: Status) => void, onend: (reason: string) => void, onfit: (scale:
   *          number, most: number) => void, onorient: (wish: import("../../shared/types.js").Place)
   *          => void}} handlers
   *     onend: the relay has ended it, with the id of its error, such as `taken-over`; onfit: what
   *     the network takes of the lens' picture: the share of its sides, and pictures per second at
   *     most; onorient: viewers wish the lens to look there (the relay's `orient`)
   * @param {{choice: Promise<import("../encode/encoder-trial.js").Choice>, label?: string, mime?:
   *        string}} options choice: what films; label: what people call this camera; mime: the only
   *        type a recorder may
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
    this.engines = new Engines(this.link, options.mime || "", {
      output: (stream) => this._output(stream),
      onpictures: (engine) => this._adjust(engine),
    });
    this.pauses = new Pauses();
    this.cameraReport = new CameraReport((message) => this.link.send(message));
    this.watchedAt = 0; // performance.now() when somebody watched last
    /** @type {Tracks} */
    this.tracks = { video: null, audio: null, muted: false, still: false };
    this.since = 0;
    this.viewers = 0;
    this.wasOpen = false;
    /**
     * Why the relay does not let this camera in, as it said at the last try.
     * @type {import("../../shared/relay/absence.js").Refusal | null}
     */
    this.refusal = null;
    this.ticks = 0;
    this.delivered = false;
    this.ticker = 0;
  }

  start() {
    this.since = performance.now();
    relay.begin();
    this.ticker = setInterval(() => this._tick(), TICK);
    this.link.open();
    this.options.choice.then((choice) => this._equip(choice));
  }

  /**
   * @param {string} [reason] for the relay: STOPPED, or "" where it was not a person who wanted the
   *   end
   */
  stop(reason = "") {
    this._end();
    this.engines.stop();
    this.link.close(reason);
  }

  /** @param {import("../encode/encoder-trial.js").Choice} choice */
  _equip(choice) {
    if (this.ticker === 0) return; // stopped meanwhile
    this.engines.equip(choice);
    this._settle();
    this._report();
  }

  /** @param {Tracks} tracks */
  show(tracks) {
    this.engines.renew(tracks.video !== this.tracks.video, tracks.audio !== this.tracks.audio);
    if (!tracks.video && this.tracks.video) this.pauses.lost(performance.now());
    this.tracks = tracks;
    if (tracks.sound) this.cameraReport.hears(tracks.sound);
    this._settle();
  }

  /**
   * @param {number | null} level of the loudest moment of the last 2 s, RMS 0..1; null where nobody
   *   can know
   */
  hears(level) {
    this.cameraReport.level = level;
  }

  /** The lens can turn so, and stands there. @param {import("../../shared/types.js").Axes} axes */
  turns(axes) {
    this.cameraReport.turns(axes, this.link.state === "open");
  }

  /** The picture has another size (the phone was turned). */
  resized() {
    this.engines.turned();
  }

  /** What films the pictures. */
  get way() {
    return this.engines.ways.way;
  }

  /** @returns {Status} */
  get status() {
    const reason = this._pause();
    const { pictures, sounds, encoder, ways } = this.engines;
    const video = pictures.stats;
    const seen = pictures.running;
    const heard = sounds.running;
    const { weak, held, step } = this.uplink;
    return {
      state: this._state(reason),
      reason,
      pause: this.pauses.asked,
      restarting: relay.restarting,
      away: this.link.state === "open" ? null : relay.away(),
      refusal: this.refusal,
      viewers: this.viewers,
      slow: weak,
      held,
      thin: held || step.fps < Infinity,
      failure: pictures.failure,
      mute: sounds.failure !== "",
      since: this.since,
      fps: seen ? video.fps : 0,
      bitsPerSecond: (seen ? video.bitsPerSecond : 0) + (heard ? sounds.stats.bitsPerSecond : 0),
      restarts: { video: pictures.restarts, audio: sounds.restarts },
      silence: { video: held ? 0 : pictures.silence, audio: sounds.silence },
      encoder,
      codec: ways.way.codec,
      delay: video.delay,
      dropped: video.dropped,
      remark: ways.remark,
      transport: this.link.transport,
    };
  }

  /**
   * @param {number} moment when the ping is sent
   * @returns {{encode?: number, level?: number}} for the relay: µs from capture to sending, and how
   *   loud the microphone is
   */
  _asks(moment) {
    this.uplink.asked(moment);
    const { pictures } = this.engines;
    return this.cameraReport.pingFields(pictures.running ? pictures.stats.delay : null);
  }

  /** @param {PauseReason | ""} reason @returns {FilmingState} */
  _state(reason) {
    if (this.link.state !== "open")
      return this.wasOpen || this.link.state === "waiting" ? "gone" : "connecting";
    if (reason) return "paused";
    return this.delivered && this.tracks.video ? "live" : "starting";
  }

  /** @returns {PauseReason | ""} */
  _pause() {
    const hidden = document.visibilityState !== "visible";
    return this.pauses.reason(this.tracks, hidden, performance.now());
  }

  /** @param {import("./stream.js").Stream<any>} stream
   *  @returns {import("../encode/media-recorder.js").Output} */
  _output(stream) {
    const { number } = stream;
    const isVideo = number === VIDEO;
    return {
      onstart: (mime, facts) => {
        stream.announced = true;
        const { label } = this.options;
        const message = { type: "stream", stream: number, mime };
        const more = isVideo && this._pictureFacts();
        this.link.send(Object.assign(message, label && { label }, facts, more));
      },
      onbytes: (bytes) => {
        this.link.sendBytes(bytes);
        stream.sent();
        if (!isVideo || !stream.engine) return;
        this.delivered = true;
        if (this.pauses.wake()) this._settle();
      },
      onfailure: (text) => {
        console.warn(text);
        this._giveWay(number, text);
      },
    };
  }

  /** An engine has given up: another one takes its place, if there is one.
   *  @param {number} number of its stream @param {string} text */
  _giveWay(number, text) {
    this.engines.giveWay(number, text, this.tracks.still);
    this._settle();
  }

  /**
   * @param {import("../../shared/relay/relay-link.js").LinkState} state
   * @param {{id: string, text: string} | null} detail
   */
  _linked(state, detail) {
    relay.linked(state, detail, this.link.moved);
    // One try without an answer takes nothing back.
    if (state === "waiting") this.refusal = refusalOf(detail) || this.refusal;
    if (state === "open") {
      this.refusal = null;
      this.wasOpen = true;
      this.watchedAt = performance.now();
      this.pauses.end();
      this.cameraReport.begin();
    } else {
      this.cameraReport.forget();
      this.engines.pictures.announced = this.engines.sounds.announced = false;
      this.delivered = false;
      this.viewers = 0;
    }
    this.uplink.restart();
    const { engine } = this.engines.pictures;
    if (engine) this._adjust(engine);
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
    // The page came from there.
    if (message.type === "welcome" && !this.link.settled) version.hear(message.version);
    else if (message.type === "viewers") this.viewers = message.count;
    else if (message.type === "pause") this.pauses.ask(message);
    else if (message.type === "resume") {
      this.pauses.end();
      if (!this.tracks.video) this.pauses.lost(performance.now()); // a lens needs a moment
    } else if (message.type === "keyframe") this.engines.keyframe();
    else if (message.type === "unplayable") {
      if (!SOUNDS.includes(familyOf(message.codec))) this.engines.suit(message.plays);
    } else if (message.type === "orient") this.handlers.onorient(message);
    else if (message.type === "error") console.warn(`relay: ${message.id}: ${message.text}`);
    this._settle();
    this._report();
  }

  /**
   * What the relay is told of the pictures, whichever engine films them.
   * @returns {{interval?: number, sound: boolean}} interval: µs
   */
  _pictureFacts() {
    const { video, audio } = this.tracks;
    const rate = (video && video.getSettings().frameRate) || 0;
    const known = rate >= RATES.least && rate <= RATES.most;
    return {
      ...(known && { interval: Math.round(1e6 / rate) }),
      sound: audio !== null && !this.uplink.silenced,
    };
  }

  /** Makes the engines, and what the relay knows, agree with what is. */
  _settle() {
    const open = this.link.state === "open";
    const reason = this._pause();
    // While the page dozes the recorder stays: its next byte is what tells that the page is awake.
    const runs = open && (reason === "" || (reason === "background" && this.pauses.dozing));
    const { held, silenced } = this.uplink;
    const { pictures, sounds } = this.engines, { engine } = pictures;
    const sends = runs && engine !== null && (engine.leavesOut || !held);
    pictures.run(sends ? this.tracks.video : null);
    sounds.run(runs && !silenced ? this.tracks.audio : null);
    if (!open) return;
    if (!this.tracks.audio && sounds.announced) {
      sounds.announced = false;
      this.link.send({ type: "end", stream: AUDIO });
    }
    this.cameraReport.say(reason, { failed: sounds.failure !== "", silenced });
  }

  /** Gives the engine and the lens what the network takes.
   *  @param {import("./engines.js").PicturesEngine} video */
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
      else if (this.engines.ways.plays && performance.now() - this.watchedAt > ALONE) {
        this.engines.suit(null);
      }
      if (this.ticks % TICKS_PER_PROBE === 0) this.link.probe();
      const hidden = document.visibilityState !== "visible";
      const { pictures } = this.engines;
      if (pictures.engine) this._pace(pictures.engine);
      this.pauses.look(hidden, pictures.running ? pictures.stats.silence : null);
      this._settle();
    }
    this._report();
  }

  /** How much does the network take? @param {import("./engines.js").PicturesEngine} video */
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
