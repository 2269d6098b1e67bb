// What happens to one camera's bytes between the socket and the picture. It runs in a worker (receiver-worker.js), where a busy page cannot
// hold it up, or in the page where the browser has no such worker: so it knows neither document nor window, and talks over a MessagePort
// (receiver-port.js).
//
// What the page says:
//
//   {type: "engine", choice, name, surface?}  who shows pictures: "frames" (here, on this surface), "mse" (the page), "jpeg" (the page, which
//                                             gets them elsewhere) or "none"; `choice` is its number, which comes back with all that
//                                             concerns it
//   {type: "watched", watched}                whether anybody can see them; soon after nobody can, nothing is decoded or passed on, and
//                                             where nobody listens either, the relay is asked to rest
//   {type: "send", message}                   for the relay
//   {type: "sound", track, port}              decode the sound of this track, into this port of the audio thread; track null: no more
//   {type: "hear", page}                      whether sound goes to the page as it is
//   {type: "taken", bytes}                    bytes of frames that the page has taken so far
//   {type: "surface", choice, ...}            from the page's end of the surface
//   {type: "wake"}                            a good moment to try the relay again
//   {type: "hang-up"} {type: "open"}          there is nothing to come, so no connection is needed; it is needed again
//   {type: "close"}
//
// What it says:
//
//   {type: "link", state, refusal, transport, place, moved}   see relay-link.js; place: where the relay is, null at the page's own origin
//   {type: "clock", offset, opened, way}               the relay's time minus the time since the epoch, µs, or null; when the socket
//                                                      opened, ms since the epoch; the relay's last `pong`
//   {type: "control", message}                         a message of the relay, but `track`, `pong` and `error`
//   {type: "track", choice, message, init, plays}      a video track, and whether the engine "frames" plays it
//   {type: "frame", choice, data}                      for the engine "mse"
//   {type: "sound-track", message, init} {type: "sound-end"} {type: "sound-frame", data, timestamp} {type: "sound-fail", reason}
//   {type: "size", choice, width, height}              of the first picture of a track, and whenever it changes
//   {type: "stats", choice, ...}                       see Look, four times a second while there is news
//   {type: "glass", choice, timestamp, moment}         a picture is on the screen; ms since the epoch
//   {type: "fail", choice, surface, reason}            the engine "frames" cannot go on, or only not on this surface
//   {type: "surface", choice, ...}                     for the page's end of the surface

import { elsewhere } from "../../shared/relay/moved-relay.js";
import { FramesDecoder } from "../engines/frames-decoder.js";
import { Link } from "../../shared/relay/relay-link.js";
import { readFrame } from "../../shared/frames/frame-message.js";
import { median } from "../../shared/median.js";
import { SoundDecoder } from "../sound/sound-decoder.js";
import { openSurface } from "../engines/surface.js";
import { TIME_ORIGIN } from "../../shared/time-origin.js";

/** received: frame messages of the video; the next three as in FramesDecoder; arrival: ms from capture to here, decode: ms from here to the
 *  decoder's picture, medians since the last look, or null.
 *  @typedef {{received: number, fed: number, shown: number, dropped: number, arrival: number | null, decode: number | null}} Look */

/** What a player asks the relay for. @typedef {"all" | "sound" | "nothing"} Wish */

/** Milliseconds between two looks at what has happened. */
const TICK = 250;

/** Frames and bytes that wait until it is known who shows them. */
const PENDING_LIMIT = 1000;
const PENDING_BYTES_LIMIT = 16 * 1024 * 1024;

/** Bytes on the way to a page that is too busy to take them. */
const UNTAKEN_LIMIT = 16 * 1024 * 1024;

/** For so long (ms) after a track has begun, what comes is the replay since the last keyframe: its age says nothing of the way. */
const REPLAY = 500;

/** Milliseconds for which a tile goes on that nobody sees: one that is scrolled out and in, or behind another tab for a moment, loses nothing.
 *  As long it waits after the last sound. */
const GRACE = 2000;

/** Values kept for a median: 60 pictures a second between two looks, and some more. */
const MOST_VALUES = 64;

export class Receiver {
  /**
   * @param {MessagePort} port to the page's Feed
   * @param {string} name of the camera
   * @param {import("../../shared/types.js").Session | null} session what the relay has said last to the page
   * @param {string[]} plays what this browser plays (plays.js)
   */
  constructor(port, name, session, plays) {
    this.port = port;
    this.plays = plays;
    /** Who shows the pictures, as the page has said. */
    this.engine = { name: "none", choice: 0 };
    /** @type {import("../engines/surface.js").Surface | null} */
    this.surface = null;
    /** @type {FramesDecoder | null} */
    this.decoder = null;
    /** The `track` message whose init segment comes next. @type {import("../../shared/types.js").TrackMessage | null} */
    this.announced = null;
    /** @type {{message: import("../../shared/types.js").TrackMessage, init: ArrayBuffer} | null} */
    this.video = null;
    this.beganAt = 0;
    this.turn = 0; // which track, and who shows it: an answer that comes later is not needed any more
    /** Frames that wait for the engine, from a keyframe on; null when none do. @type {ArrayBuffer[] | null} */
    this.pending = null;
    this.pendingBytes = 0;
    /** Frames are taken only after the `track` that answers a `join`. */
    this.joined = true;
    this.watched = true;
    this.graceTimer = 0;
    /** What the relay was asked for. @type {Wish} */
    this.given = "all";
    this.received = 0;
    this.postedBytes = 0;
    this.takenBytes = 0;
    this.starved = false; // frames for the page were left out
    /** @type {SoundDecoder | null} */
    this.soundDecoder = null;
    this.soundToPage = false;
    this.size = "";
    this.told = "";
    /** Since the last look, ms. @type {number[]} */
    this.arrivals = [];
    /** @type {number[]} */
    this.decodings = [];
    this.restPath = `/player/${name}?rest=1`;
    this.joinPath = `/player/${name}?plays=${plays.join()}`; // as `join` would say
    this.link = new Link(this.joinPath, {
      onstate: (state, refusal, transport) => this.onlink(state, refusal, transport),
      onmessage: (message) => this.onmessage(message),
      onbinary: (data) => this.onbinary(data),
      onpong: (message) => this.tellClock(message),
      elsewhere: elsewhere(() => session),
    });
    this.timer = setInterval(() => this.look(), TICK);
    port.onmessage = (event) => this.onorder(event.data);
    this.link.open();
  }

  /** @param {any} order */
  onorder(order) {
    if (order.type === "engine") this.setEngine(order);
    else if (order.type === "watched") this.setWatched(order.watched);
    else if (order.type === "send") this.link.send(order.message);
    else if (order.type === "sound") this.decodeSound(order.track, order.port);
    else if (order.type === "hear") this.hear(order.page);
    else if (order.type === "taken") this.ontaken(order.bytes);
    else if (order.type === "surface") this.onsurface(order);
    else if (order.type === "wake") this.link.wake();
    else if (order.type === "hang-up") this.link.close();
    else if (order.type === "open") this.link.open();
    else if (order.type === "close") this.close();
  }

  /** @param {string} type @param {object} more @param {Transferable[]} transfer */
  tell(type, more, transfer = []) {
    this.port.postMessage({ type, ...more }, transfer);
  }

  close() {
    clearInterval(this.timer);
    this.turn += 1;
    this.link.close();
    this.decodeSound(null);
    clearTimeout(this.graceTimer);
    this.dropEngine();
    this.port.close();
  }

  // --- the relay ---

  /** @param {import("../../shared/relay/relay-link.js").LinkState} state @param {{id: string, text: string} | null} refusal
   *  @param {import("../../shared/relay/relay-link.js").Transport} transport */
  onlink(state, refusal, transport) {
    if (state !== "open") this.announced = null;
    // Else it would wake a camera up for nobody.
    if (state === "connecting") this.link.path = this.wish === "all" ? this.joinPath : this.restPath;
    this.tell("link", { state, refusal, transport, place: this.link.settled, moved: this.link.moved });
  }

  /** @param {any} message */
  onmessage(message) {
    if (message.type === "track") {
      this.announced = message;
      return;
    }
    if (message.type === "welcome") this.onwelcome();
    if (message.type === "track-end") this.ontrackend(message.number);
    else this.tell("control", { message });
  }

  /** The relay may be another one, with another clock: everything begins anew, behind the last picture. */
  onwelcome() {
    this.announced = null;
    this.joined = true;
    this.given = this.link.path === this.joinPath ? "all" : "nothing";
    this.forgetVideo();
    this.settle();
    this.tellClock(null);
  }

  /** @param {number} number */
  ontrackend(number) {
    if (this.video && number === this.video.message.number) {
      this.forgetVideo();
      this.tell("control", { message: { type: "track-end", number } });
    } else {
      this.tell("sound-end", {});
    }
  }

  forgetVideo() {
    this.turn += 1;
    this.video = null;
    this.pending = null;
    if (this.decoder) this.decoder.rest();
  }

  /** @param {ArrayBuffer} data */
  onbinary(data) {
    if (this.announced) {
      const message = this.announced;
      this.announced = null;
      if (message.kind === "audio") this.tell("sound-track", { message, init: data }, [data]);
      else this.ontrack(message, data);
      return;
    }
    let frame;
    try {
      frame = readFrame(data);
    } catch (error) {
      this.tell("fail", { choice: this.engine.choice, surface: false, reason: String(error) });
      return;
    }
    if (this.video && frame.number === this.video.message.number) this.attempt(() => this.onframe(frame, data));
    else if (this.soundDecoder) this.soundDecoder.frame(data);
    else if (this.soundToPage) this.pass("sound-frame", { timestamp: frame.timestamp }, data);
  }

  /** @param {import("../../shared/types.js").TrackMessage} message @param {ArrayBuffer} init */
  ontrack(message, init) {
    this.video = { message, init };
    this.joined = true;
    this.beganAt = performance.now();
    this.pending = [];
    this.pendingBytes = 0;
    this.begin();
  }

  /** @param {import("../../shared/frames/webm-frame.js").Frame} frame @param {ArrayBuffer} data */
  onframe(frame, data) {
    if (this.takesNoFrames) return; // it came along with the sound
    this.received += 1;
    if (!this.watched || !this.joined) return;
    const now = performance.now();
    const relay = this.link.at(now);
    if (relay !== null && now - this.beganAt > REPLAY) keep(this.arrivals, (relay - frame.timestamp) / 1000);
    if (this.pending) {
      this.pending.push(data);
      this.pendingBytes += data.byteLength;
      if (this.pending.length > PENDING_LIMIT || this.pendingBytes > PENDING_BYTES_LIMIT) this.pending = null; // `join` will fetch them
    } else if (this.engine.name === "frames") {
      if (this.decoder) this.decoder.frame(frame, now);
    } else if (this.engine.name === "mse") {
      this.pass("frame", { choice: this.engine.choice }, data);
    }
  }

  /** Hands a frame to the page, unless that is too busy. @param {string} type @param {object} more @param {ArrayBuffer} data */
  pass(type, more, data) {
    if (this.postedBytes - this.takenBytes > UNTAKEN_LIMIT) {
      if (type === "frame") {
        this.starved = true;
        this.joined = false; // what is left out makes the following useless
      }
      return;
    }
    this.postedBytes += data.byteLength;
    this.tell(type, { ...more, data }, [data]);
  }

  /** @param {number} bytes */
  ontaken(bytes) {
    this.takenBytes = bytes;
    if (!this.starved || this.postedBytes - bytes > UNTAKEN_LIMIT / 2) return;
    this.starved = false;
    this.join();
  }

  /** Asks the relay for the tracks and all frames since the last keyframe. */
  join() {
    this.joined = false;
    this.given = "all";
    this.link.send({ type: "join", plays: this.plays });
  }

  /** The pictures come by another way: no frames are needed for them. */
  get takesNoFrames() {
    return this.engine.name === "jpeg";
  }

  get listens() {
    return this.soundDecoder !== null || this.soundToPage;
  }

  /** What is taken of all that the camera sends. @returns {Wish} */
  get wish() {
    if (this.watched && !this.takesNoFrames) return "all";
    return this.listens ? "sound" : "nothing";
  }

  /** Asks the relay for what is taken: what nobody takes need not be sent, and for nobody a camera need not film. */
  settle() {
    const { wish } = this;
    if (wish === this.given) return;
    if (wish === "all") return this.join();
    this.given = wish;
    this.link.send(wish === "sound" ? { type: "join", video: false, plays: this.plays } : { type: "rest" });
  }

  /** @param {any} pong the relay's answer to a ping, or null when its clock is not known any more */
  tellClock(pong) {
    const now = TIME_ORIGIN + performance.now();
    const relay = this.link.now();
    const opened = TIME_ORIGIN + this.link.openedAt;
    this.tell("clock", { offset: relay === null ? null : relay - now * 1000, opened, way: pong });
  }

  // --- the engine ---

  /** @param {{name: string, choice: number, surface?: import("../engines/surface.js").SurfaceOrder}} order */
  setEngine({ name, choice, surface }) {
    const waits = this.pending !== null;
    this.dropEngine();
    this.engine = { name, choice };
    if (name === "frames" && surface) this.openEngine(choice, surface);
    if (this.takesNoFrames) {
      this.pending = null;
      this.settle();
      return;
    }
    if (!this.video) return this.settle();
    if (waits && this.given === "all") this.begin();
    else if (name !== "none") this.join();
  }

  /** @param {number} choice @param {import("../engines/surface.js").SurfaceOrder} order */
  openEngine(choice, order) {
    this.size = "";
    try {
      this.surface = openSurface(order, {
        tell: (message, transfer) => this.tell("surface", { choice, ...message }, transfer),
        onglass: (timestamp, moment) => this.tell("glass", { choice, timestamp, moment: TIME_ORIGIN + moment }),
        onfail: (reason) => this.tell("fail", { choice, surface: true, reason }),
      });
    } catch (error) {
      this.tell("fail", { choice, surface: true, reason: String(error) });
      return;
    }
    const { surface } = this;
    this.attempt(() => {
      this.decoder = new FramesDecoder(surface, {
        onfail: (reason, ofSurface) => this.tell("fail", { choice, surface: ofSurface, reason }),
        onpicture: (width, height, decodeTime) => this.onpicture(width, height, decodeTime),
        send: (message) => this.link.send(message),
      });
    });
  }

  /** Does something with the engine. Whatever breaks there, the page hears of it, and chooses the next one.
   *  @param {() => void} action @param {boolean} [surface] it is the surface's */
  attempt(action, surface = false) {
    const { choice } = this.engine;
    try {
      action();
    } catch (error) {
      this.tell("fail", { choice, surface, reason: String(error) });
    }
  }

  /** @param {any} order */
  onsurface(order) {
    const { surface } = this;
    if (surface && order.choice === this.engine.choice) this.attempt(() => surface.receive(order), true);
  }

  dropEngine() {
    const { decoder, surface } = this;
    this.decoder = this.surface = null;
    if (decoder) this.attempt(() => decoder.close());
    if (surface) this.attempt(() => surface.close());
  }

  /** Gives the track, and the frames that have waited, to the engine. */
  async begin() {
    this.turn += 1;
    const { turn, video } = this;
    if (!video) return;
    const { message, init } = video;
    const { name, choice } = this.engine;
    const plays = this.decoder !== null && (await FramesDecoder.supports(message));
    if (turn !== this.turn) return; // another track has come meanwhile, or another engine
    this.tell("track", { choice, message, init, plays });
    this.size = ""; // its first picture says how it is turned
    const { pending } = this;
    if (this.takesNoFrames) this.pending = null;
    if (this.takesNoFrames || name === "none" || (name === "frames" && !plays)) return; // they wait for the next choice
    this.pending = null;
    if (!this.watched) return;
    if (!pending) return this.join();
    this.attempt(() => {
      if (this.decoder) this.decoder.track(message);
      const now = performance.now();
      for (const data of pending) {
        if (name === "mse") this.pass("frame", { choice }, data);
        else if (this.decoder) this.decoder.frame(readFrame(data), now);
      }
    });
  }

  /** @param {number} width @param {number} height @param {number | null} decodeTime ms */
  onpicture(width, height, decodeTime) {
    if (decodeTime !== null) keep(this.decodings, decodeTime);
    const size = `${width} ${height}`;
    if (size === this.size) return;
    this.size = size;
    this.tell("size", { choice: this.engine.choice, width, height });
    this.look(); // the first picture is news
  }

  /** @param {boolean} watched */
  setWatched(watched) {
    if (!watched) return this.waitToRest();
    clearTimeout(this.graceTimer);
    this.link.wake();
    if (this.watched) return;
    this.watched = true;
    if (!this.takesNoFrames && (this.video || this.given !== "all")) this.join();
  }

  /** Nobody looks now, or nobody listens any more: but perhaps in a moment. */
  waitToRest() {
    clearTimeout(this.graceTimer);
    this.graceTimer = setTimeout(() => {
      this.watched = false;
      if (this.decoder) this.decoder.rest();
      this.pending = null;
      this.settle();
    }, GRACE);
  }

  look() {
    if (!this.watched) return;
    const { fed, shown, dropped } = this.decoder ? this.decoder.stats : { fed: 0, shown: 0, dropped: 0 };
    const stats = { received: this.received, fed, shown, dropped };
    const { surface } = this;
    if (surface) this.attempt(() => surface.look(), true);
    const news = JSON.stringify(stats);
    if (news === this.told) return;
    this.told = news;
    this.tell("stats", { choice: this.engine.choice, stats: { ...stats, arrival: median(this.arrivals), decode: median(this.decodings) } });
    this.arrivals = [];
    this.decodings = [];
  }

  // --- the sound ---

  /** @param {import("../../shared/types.js").TrackMessage | null} track @param {MessagePort} [port] to the audio thread */
  decodeSound(track, port) {
    if (this.soundDecoder) this.soundDecoder.close();
    this.soundDecoder = null;
    if (track && port) {
      const decoder = new SoundDecoder(track, port, (reason) => {
        if (decoder !== this.soundDecoder) return;
        this.soundDecoder = null;
        this.tell("sound-fail", { reason });
        this.onlisteners();
      });
      this.soundDecoder = decoder;
    }
    this.onlisteners();
  }

  /** @param {boolean} page whether the page wants the sound as it is */
  hear(page) {
    this.soundToPage = page;
    this.onlisteners();
  }

  /** Sound is wanted now, or not any more. */
  onlisteners() {
    if (!this.listens && !this.watched) this.waitToRest();
    else this.settle();
  }
}

/** @param {number[]} values @param {number} value */
function keep(values, value) {
  values.push(value);
  if (values.length > MOST_VALUES) values.shift();
}
