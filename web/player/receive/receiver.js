// What happens to one camera's bytes between the socket and the picture. It runs in a worker
// (receiver-worker.js), where a busy page cannot hold it up, or in the page where the browser has
// no such worker: so it knows neither document nor window, and talks over a MessagePort
// (receiver-port.js).
//
// What the page says:
//
//   {type: "engine", choice, name, surface?}  who shows pictures: "frames" (here, on this surface),
//                                             "mse" (the page), "jpeg" (the page, which gets them
//                                             elsewhere) or "none"; `choice` is its number, which
//                                             comes back with all that concerns it
//   {type: "watched", watched}                whether anybody can see them; soon after nobody can,
//                                             nothing is decoded or passed on, and where nobody
//                                             listens either, the relay is asked to rest
//   {type: "send", message}                   for the relay
//   {type: "sound", track, port}              decode the sound of this track, into this port of the
//                                             audio thread; track null: no more
//   {type: "hear", page}                      whether sound goes to the page as it is
//   {type: "taken", bytes}                    bytes of frames that the page has taken so far
//   {type: "surface", choice, ...}            from the page's end of the surface
//   {type: "wake"}                            a good moment to try the relay again
//   {type: "hang-up"} {type: "open"}          there is nothing to come, so no connection is needed;
//                                             it is needed again
//   {type: "close"}
//
// What it says:
//
//   {type: "link", state, refusal, transport, place, moved}   see relay-link.js; place: where the
//                                                             relay is, null at the page's own
//                                                             origin
//   {type: "clock", offset, opened, way}               the relay's time minus the time since the
//                                                      epoch, µs, or null; when the socket opened,
//                                                      ms since the epoch; the relay's last `pong`
//   {type: "control", message}                         a message of the relay, but `track`, `pong`
//                                                      and `error`
//   {type: "track", choice, message, init, plays}      a video track, and whether the engine
//                                                      "frames" plays it
//   {type: "frame", choice, data}                      for the engine "mse"
//   {type: "sound-track", message, init} {type: "sound-end"}
//   {type: "sound-frame", data, timestamp} {type: "sound-fail", reason}
//   {type: "size", choice, width, height}              of the first picture of a track, and
//                                                      whenever it changes
//   {type: "stats", choice, ...}                       see looks.js, four times a second while
//                                                      there is news
//   {type: "glass", choice, timestamp, moment}         a picture is on the screen; ms since the
//                                                      epoch
//   {type: "fail", choice, surface, reason}            the engine "frames" cannot go on, or only
//                                                      not on this surface
//   {type: "surface", choice, ...}                     for the page's end of the surface

import { Attention } from "./attention.js";
import { attempt, FramesEngine } from "./frames-engine.js";
import { elsewhere } from "../../shared/relay/moved-relay.js";
import { Link } from "../../shared/relay/relay-link.js";
import { Looks } from "./looks.js";
import { PageFlow } from "./page-flow.js";
import { PendingFrames } from "./pending-frames.js";
import { readFrame } from "../../shared/frames/frame-message.js";
import { SoundWay } from "./sound-way.js";
import { Subscription } from "./subscription.js";
import { TIME_ORIGIN } from "../../shared/time-origin.js";

/** Milliseconds between two looks at what has happened. */
const TICK = 250;

/**
 * For so long (ms) after a track has begun, what comes is the replay since the last keyframe: its
 * age says nothing of the way.
 */
const REPLAY = 500;

export class Receiver {
  /**
   * @param {MessagePort} port to the page's Feed
   * @param {string} name of the camera
   * @param {import("../../shared/types.js").Session | null} session what the relay has said last to
   *   the page
   * @param {string[]} plays what this browser plays (plays.js)
   */
  constructor(port, name, session, plays) {
    this.port = port;
    /** Who shows the pictures, as the page has said. */
    this.engine = { name: "none", choice: 0 };
    /** Where that is "frames". @type {FramesEngine | null} */
    this.frames = null;
    /**
     * The `track` message whose init segment comes next.
     * @type {import("../../shared/types.js").TrackMessage | null}
     */
    this.announced = null;
    /** @type {{message: import("../../shared/types.js").TrackMessage, init: ArrayBuffer} | null} */
    this.video = null;
    this.beganAt = 0;
    // Which track, and who shows it: an answer that comes later is not needed any more.
    this.turn = 0;
    this.pending = new PendingFrames();
    this.attention = new Attention(() => this.rest());
    this.looks = new Looks();
    this.flow = new PageFlow();
    this.sound = new SoundWay({
      onchange: () => this.onlisteners(),
      onfail: (reason) => this.tell("sound-fail", { reason }),
    });
    this.subscription = new Subscription(name, plays, (message) => this.link.send(message));
    this.link = new Link(this.subscription.joinPath, {
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
    else if (order.type === "sound") this.sound.decode(order.track, order.port);
    else if (order.type === "hear") this.sound.hear(order.page);
    else if (order.type === "taken" && this.flow.take(order.bytes)) this.subscription.join();
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
    this.sound.decode(null);
    this.attention.close();
    this.dropEngine();
    this.port.close();
  }

  // --- the relay ---

  /**
   * @param {import("../../shared/relay/relay-link.js").LinkState} state
   * @param {{id: string, text: string} | null} refusal
   * @param {import("../../shared/relay/relay-link.js").Transport} transport
   */
  onlink(state, refusal, transport) {
    if (state !== "open") this.announced = null;
    if (state === "connecting") this.link.path = this.subscription.path(this.wish);
    this.tell("link", {
      state,
      refusal,
      transport,
      place: this.link.settled,
      moved: this.link.moved,
    });
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

  /**
   * The relay may be another one, with another clock: everything begins anew, behind the last
   * picture.
   */
  onwelcome() {
    this.announced = null;
    this.subscription.welcome(this.link.path);
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
    this.pending.forget();
    if (this.frames) this.frames.rest();
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
      this.fail(String(error));
      return;
    }
    if (this.video && frame.number === this.video.message.number) {
      attempt(
        () => this.onframe(frame, data),
        (reason) => this.fail(reason),
      );
    } else if (this.sound.decoder) this.sound.decoder.frame(data);
    else if (this.sound.toPage) this.pass("sound-frame", { timestamp: frame.timestamp }, data);
  }

  /** @param {import("../../shared/types.js").TrackMessage} message @param {ArrayBuffer} init */
  ontrack(message, init) {
    this.video = { message, init };
    this.subscription.begin();
    this.beganAt = performance.now();
    this.pending.begin();
    this.begin();
  }

  /** @param {import("../../shared/frames/webm-frame.js").Frame} frame @param {ArrayBuffer} data */
  onframe(frame, data) {
    if (this.takesNoFrames) return; // it came along with the sound
    this.looks.receive();
    if (!this.attention.watched || !this.subscription.joined) return;
    const now = performance.now();
    const relay = this.link.at(now);
    if (relay !== null && now - this.beganAt > REPLAY) {
      this.looks.arrive((relay - frame.timestamp) / 1000);
    }
    if (this.pending.messages) this.pending.add(data);
    else if (this.engine.name === "frames") {
      if (this.frames) this.frames.frame(frame, now);
    } else if (this.engine.name === "mse") {
      this.pass("frame", { choice: this.engine.choice }, data);
    }
  }

  /**
   * Hands a frame to the page, unless that is too busy.
   * @param {string} type
   * @param {object} more
   * @param {ArrayBuffer} data
   */
  pass(type, more, data) {
    if (this.flow.isFull) {
      if (type === "frame") {
        this.flow.starve();
        this.subscription.interrupt();
      }
      return;
    }
    this.flow.post(data.byteLength);
    this.tell(type, { ...more, data }, [data]);
  }

  /** The pictures come by another way: no frames are needed for them. */
  get takesNoFrames() {
    return this.engine.name === "jpeg";
  }

  /** What is taken of all that the camera sends. @returns {import("./subscription.js").Wish} */
  get wish() {
    if (this.attention.watched && !this.takesNoFrames) return "all";
    return this.sound.listens ? "sound" : "nothing";
  }

  /** Asks the relay for what is taken. */
  settle() {
    this.subscription.settle(this.wish);
  }

  /**
   * @param {any} pong the relay's answer to a ping, or null when its clock is not known any more
   */
  tellClock(pong) {
    this.tell("clock", { ...clockOf(this.link), way: pong });
  }

  // --- the engine ---

  /**
   * @param {{name: string, choice: number, surface?: import("../engines/surface.js").SurfaceOrder}}
   *   order
   */
  setEngine({ name, choice, surface }) {
    const waits = this.pending.messages !== null;
    this.dropEngine();
    this.engine = { name, choice };
    if (name === "frames" && surface) this.openEngine(choice, surface);
    if (this.takesNoFrames) {
      this.pending.forget();
      this.settle();
      return;
    }
    if (!this.video) return this.settle();
    if (waits && this.subscription.given === "all") this.begin();
    else if (name !== "none") this.subscription.join();
  }

  /** @param {number} choice @param {import("../engines/surface.js").SurfaceOrder} order */
  openEngine(choice, order) {
    this.frames = new FramesEngine(order, {
      tell: (type, more, transfer) => this.tell(type, { choice, ...more }, transfer),
      send: (message) => this.link.send(message),
      ondecoded: (ms) => this.looks.decode(ms),
      onnews: () => this.look(), // the first picture is news
    });
  }

  /** The engine cannot go on: the page hears of it, and chooses the next one.
   *  @param {string} reason */
  fail(reason) {
    this.tell("fail", { choice: this.engine.choice, surface: false, reason });
  }

  /** @param {any} order */
  onsurface(order) {
    if (this.frames && order.choice === this.engine.choice) this.frames.receive(order);
  }

  dropEngine() {
    const { frames } = this;
    this.frames = null;
    if (frames) frames.close();
  }

  /** Gives the track, and the frames that have waited, to the engine. */
  async begin() {
    this.turn += 1;
    const { turn, video } = this;
    if (!video) return;
    const { message, init } = video;
    const { name, choice } = this.engine;
    const plays = this.frames !== null && (await this.frames.plays(message));
    if (turn !== this.turn) return; // another track has come meanwhile, or another engine
    this.tell("track", { choice, message, init, plays });
    if (this.frames) this.frames.renew();
    const pending = this.pending.messages;
    if (this.takesNoFrames) this.pending.forget();
    // They wait for the next choice.
    if (this.takesNoFrames || name === "none" || (name === "frames" && !plays)) return;
    this.pending.forget();
    if (!this.attention.watched) return;
    if (!pending) return this.subscription.join();
    attempt(
      () => {
        if (this.frames) this.frames.track(message);
        const now = performance.now();
        for (const data of pending) {
          if (name === "mse") this.pass("frame", { choice }, data);
          else if (this.frames) this.frames.frame(readFrame(data), now);
        }
      },
      (reason) => this.fail(reason),
    );
  }

  /** @param {boolean} watched */
  setWatched(watched) {
    if (!watched) return this.attention.end();
    const rested = this.attention.begin();
    this.link.wake();
    if (!rested || this.takesNoFrames) return;
    if (this.video || this.subscription.given !== "all") this.subscription.join();
  }

  /** Nobody takes it any more. */
  rest() {
    if (this.frames) this.frames.rest();
    this.pending.forget();
    this.settle();
  }

  look() {
    if (!this.attention.watched) return;
    const counts = this.frames ? this.frames.stats : { fed: 0, shown: 0, dropped: 0 };
    if (this.frames) this.frames.look();
    const stats = this.looks.take(counts);
    if (stats) this.tell("stats", { choice: this.engine.choice, stats });
  }

  // --- the sound ---

  /** Sound is wanted now, or not any more. */
  onlisteners() {
    if (!this.sound.listens && !this.attention.watched) this.attention.end();
    else this.settle();
  }
}

/** @param {Link} link @returns {{offset: number | null, opened: number}} see "clock" */
function clockOf(link) {
  const now = TIME_ORIGIN + performance.now();
  const relay = link.now();
  const opened = TIME_ORIGIN + link.openedAt;
  return { offset: relay === null ? null : relay - now * 1000, opened };
}
