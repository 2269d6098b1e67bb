// One camera's tile: the engine that shows its pictures, its sound, how old they are, and a status that never lies. What comes from the
// relay is received and decoded by a Receiver in a worker (receiver-port.js, receiver.js); the tile decides and shows.
//
// An engine turns a video track's messages into pictures. There are two: "frames", decoded where the Receiver is and shown by a Screen
// (screen.js), and "mse", MediaSource in the page. A third one, "jpeg", takes no messages but asks the relay for pictures, where the browser
// plays neither. In the page each one keeps this contract:
//
//   name, stats            see Engine
//   track(message, init)   a track begins, begins anew, or is replayed: its next frame is a keyframe
//   frame(number, data)    one frame message of that track
//   retire()               goes on showing its last picture, and wants nothing more
//   close()                frees everything and takes the picture away
//
// It may be given every frame since the last keyframe at once and then shows the newest only. If it cannot go on it calls onfail, once,
// and waits to be closed; the tile then makes the next one, and the Receiver has the relay replay what that needs. The same happens where it
// throws, also when it is made, and where it takes frames and shows nothing.
//
// For tests and benches a tile's element carries read-only facts, at most four times a second: data-camera, data-state, data-engine,
// data-frames (pictures shown), data-sound (off, on, blocked), data-silence (why there is no sound: see SoundControl), data-why (of a frozen
// one: see judgeSilence), data-reason (of one that is gone: left, closed, lost, media), data-slow (frames are left out for this viewer);
// data-floating (its picture is in a window of its own, see picture-in-picture.js); and element.tile is the Tile, whose stats() tells the rest.

import { awayWords, concernsPage, refusalOf, relay } from "../../shared/relay/absence.js";
import { called, calledInText, forgetLabel, hearLabel } from "./called.js";
import { timeOf } from "../../shared/page/clock-time.js";
import { Departure } from "./departure.js";
import { Details } from "./delay-details.js";
import { button, icon, part, setIcon, setText } from "../../shared/page/elements.js";
import { Feed } from "../receive/receiver-port.js";
import { JpegEngine } from "../engines/jpeg-engine.js";
import { SILENT_AFTER, lateness } from "./late.js";
import { device } from "./load.js";
import { More } from "./more.js";
import { MseEngine } from "../engines/mse-engine.js";
import { nameButton } from "../../shared/page/named.js";
import { PictureInPicture } from "./picture-in-picture.js";
import { playable, playsOthers } from "./plays.js";
import { isTurned, sizeOf, turn, turnOf } from "../engines/pose.js";
import { median } from "../../shared/median.js";
import { Screen, surfaceKinds } from "../engines/screen.js";
import { Sound } from "../sound/sound.js";
import { SoundControl } from "./sound-control.js";
import { fileName, hand, stillOf } from "./still.js";
import { TIME_ORIGIN } from "../../shared/time-origin.js";
import { TurnPad } from "./pan-tilt-pad.js";

/** @typedef {import("../../shared/types.js").TrackMessage} TrackMessage */
/** @typedef {import("../../shared/types.js").Engine} Engine */
/** @typedef {import("./delay-details.js").Parts} Parts */

/** @typedef {"connecting" | "waiting" | "live" | "frozen" | "paused" | "gone" | "failed"} TileState
 *  connecting: the relay or the first picture is still to come; frozen: live, but no picture arrives; failed: this page cannot show it. */

/** The engines, best first. */
const ENGINES = ["frames", "mse", "jpeg"];

/** Milliseconds between two looks at everything that time changes. */
const TICK = 250;

/** By so much (ms) something must be later than the last picture to prove anything: what is on its way, or in a buffer, is no proof. */
const PROOF = 1000;

/** A picture that takes so long (ms) to decode waits for this device, and not for the network. */
const SLOW_DECODING = 500;

/** Frames were left out for this viewer within so many ms: say so. But those of a beginning, up to the first keyframe, are none. */
const SLOW_FOR = 5000;
const BEGINNING = 2500;

/** From this age (ms) on, a picture that stands while there is no connection is old: its time is told. */
const OLD_PICTURE = 10000;

/** Frames go in and no picture comes out for so long (ms): the next engine's turn. A busy computer may need some seconds to decode all
 *  since the last keyframe, which is up to 8 s old in Firefox. */
const MUTE_ENGINE_AFTER = 5000;

/** Pictures are given to a surface and none is seen for so long (ms): the next surface's turn. */
const DARK_SURFACE_AFTER = 4000;

/** Milliseconds between two frames within which they count as one after the other. */
const FEEDING = 1000;

/** After all engines have failed they get another chance with another kind of track, or after so long (ms), and each time after twice as
 *  long: a computer that was busy for a moment should show its pictures soon, and one that cannot need not try all the time. */
const FORGIVE_FIRST = 4000;
const FORGIVE_LAST = 60000;

/** Where this browser does not play the camera's codec, but others, that is tried again after so long (ms), and each time after twice as long:
 *  the relay asks a camera every 30 s at most to change its codec, and only while a viewer that needs it wants frames. */
const HOPE_FIRST = 40000;
const HOPE_LAST = 3600000;

/** What was measured is true for so long (ms), and of a slow lens for so many of its intervals. */
const FRESH = 1500;
const FRESH_INTERVALS = 2;

/** Delays kept for a median: 60 pictures a second between two looks, and some more. */
const MOST_DELAYS = 64;

const WORDS = {
  connecting: "Connecting",
  waiting: "Waiting",
  live: "Live",
  frozen: "Frozen",
  paused: "Paused",
  gone: "Gone",
  failed: "Cannot show",
};

/** Instead of "Gone", where its person wanted it so. */
const OFF = "Off";

/** What stands over the picture beside the word above: short, because a tile may be small. @type {Record<string, string>} */
const PAUSED_BECAUSE = {
  viewers: "Its viewers asked for a pause.",
  unwatched: "Waking up…",
  camera: "Paused at the camera.",
  background: "The camera’s page is in the background.",
  interrupted: "Another app or a call has taken the lens, or it is not there.",
};

const KEYLESS = "The camera sends no keyframe, with which its pictures could begin. Let it send one every 2 s.";

/** What is broken may not even end well. @param {() => void} action */
function end(action) {
  try {
    action();
  } catch (error) {
    console.warn("tile: an engine that does not end,", error);
  }
}

export class Tile {
  /**
   * @param {string} name of the camera
   * @param {{engine: string | null, surface: import("../engines/surface.js").SurfaceKind | null, sounds: boolean, loudness: number,
   *          ontap: () => void, onback: () => void, onaspect: () => void, onsound: (on: boolean) => void,
   *          onloudness: (loudness: number) => void, onmove: (by: number) => void, onrefused: (why: string) => void,
   *          ongone: (gone: import("./departure.js").Gone | null) => void, onputaway: () => void, announce: (text: string) => void}} wall
   *        engine: to force one of ENGINES; surface: to force one; sounds: the sound is on from the start; onsound: a person has
   *        switched it; loudness: 0..1, and onloudness: a person has chosen it; onmove: this tile is to go so many places back or on;
   *        ontap: the picture was tapped; onback: the way out of the large
   *        view was; onaspect: the shape of the picture has changed; onrefused: the relay wants another key than this page has,
   *        and why; ongone, onputaway: see Departure; announce: a sentence for a screen reader, "" takes the last one back
   */
  constructor(name, wall) {
    this.name = name;
    /** What people call it, for a sentence. */
    this.called = "";
    this.wall = wall;
    /** Width and height of the picture. */
    this.size = { width: 0, height: 0 };
    /** Width over height of the picture. */
    this.aspect = 4 / 3;
    /** @type {TileState} */
    this.state = "connecting";
    /** @type {TileState | ""} */
    this.announcedState = "";
    /** What the relay last said; microphone: what the camera says of it, "" for nothing.
     *  @type {{state: string, reason: string, keyless: boolean, microphone: string} | null} */
    this.camera = null;
    /** What the list of the wall says, null where there is no such list. @type {import("./departure.js").Word | null} */
    this.listed = null;
    /** @type {import("../../shared/relay/relay-link.js").LinkState} */
    this.linkState = "closed";
    /** @type {import("../../shared/relay/relay-link.js").Transport} */
    this.transport = "socket";
    /** @type {{id: string, text: string} | null} */
    this.refusal = null;
    /** Where the relay is, null at this page's own origin. @type {import("../../shared/relay/relay-link.js").Place | null} */
    this.place = null;
    this.wasOpen = false; // there was a connection before
    /** @type {TrackMessage | null} */
    this.video = null;
    /** @type {Screen | MseEngine | JpegEngine | null} */
    this.engine = null;
    /** Shows the last picture until the new engine has one. @type {Engine | null} */
    this.retired = null;
    /** The number of the present engine: what comes from the Receiver for an earlier one counts no more. */
    this.choice = 0;
    /** The surfaces that have not failed here, best first. @type {import("../engines/surface.js").SurfaceKind[]} */
    this.surfaces = [];
    /** Engines that have failed for this track, and why. @type {Map<string, string>} */
    this.failures = new Map();
    /** Those among them that do not play this codec at all. @type {Set<string>} */
    this.unable = new Set();
    this.failedAt = 0;
    this.forgiveAfter = FORGIVE_FIRST;
    this.hopeAfter = HOPE_FIRST;
    /** What this browser plays (plays.js). @type {string[]} */
    this.plays = [];
    this.watched = true;
    this.onScreen = true;
    /** The tile itself can be seen. */
    this.inSight = true;
    /** Its place among so many of the wall's. */
    this.rank = { place: 0, places: 1 };
    this.blocked = false;
    this.received = 0;
    this.shownBefore = 0; // by engines that are closed
    this.shownEarlier = 0; // by this engine, of a track that is over
    this.pictureAt = 0; // performance.now() of the last picture of this connection
    /** Frames the engine has taken, when that last grew, how many by the last picture, and since when it takes without giving. */
    this.fed = 0;
    this.fedAt = 0;
    this.fedAtPicture = 0;
    this.mouthfulAt = 0;
    this.darkAt = 0; // since when pictures go to a surface of which nothing was seen
    this.hadPicture = false;
    /** Of the picture seen last: when it was filmed, ms since the epoch, 0 while unknown; and its time (µs of the relay's clock) and moment
     *  (ms of performance.now()) while the clocks are not known. */
    this.filmed = 0;
    /** @type {{timestamp: number, moment: number} | null} */
    this.undated = null;
    /** µs by which the relay's clock is ahead of the time since the epoch; null while unknown. @type {number | null} */
    this.clockOffset = null;
    this.openedAt = 0; // ms since the epoch, of the socket
    /** The relay's last `pong`. @type {{encode?: number, uplink?: number, relay?: number, drops?: number, idle?: number, pace?: number, level?: number}} */
    this.way = {};
    // All of performance.now(): when something last came from the relay, when its last `pong` did, when the camera's last frame came to
    // the relay and the last one of its pictures here, when a track began; and the two answers between which frames were last left out.
    this.heardAt = this.pongAt = this.filmedAt = this.receivedAt = this.begunAt = this.slowFrom = this.slowAt = -Infinity;
    /** The part that had the focus at the last look. @type {Element | null} */
    this.focused = null;
    /** Delays of the pictures seen since the last look, ms. @type {number[]} */
    this.delays = [];
    /** What the looks found, and when (performance.now()); ms. @type {{delay: number | null, at: number}} */
    this.seen = { delay: null, at: 0 };
    /** @type {{arrival: number | null, decode: number | null, at: number}} */
    this.come = { arrival: null, decode: null, at: 0 };
    this.sound = new Sound({
      onchange: () => this.refresh(),
      send: (message) => this.feed.send(message),
      decode: (track, port) => this.feed.tell("sound", { track, port }, port ? [port] : []),
      page: (page) => this.feed.tell("hear", { page }),
    });
    this.sound.setLoudness(wall.loudness);
    this.soundControl = new SoundControl(name, this.sound, {
      ontoggle: (on) => wall.onsound(on),
      announce: (text) => wall.announce(`${name}: ${text}`),
    });
    this.fullscreenIcon = icon("icon-fill");
    this.fullscreen = this.tool(this.fullscreenIcon, () => this.toggleFullscreen());
    this.back = this.tool(icon("icon-back"), () => this.wall.onback());
    this.pad = new TurnPad(name, { icon, send: (wish) => this.feed.send(wish) });
    this.details = new Details(name);
    const departure = { onchange: () => this.ongone(), onputaway: () => this.wall.onputaway() };
    this.departure = new Departure(name, departure, icon("icon-away"));
    this.more = new More({
      onsave: () => this.save(),
      onfloat: () => this.toggleFloating(),
      onloudness: (loudness, done) => {
        this.sound.setLoudness(loudness);
        if (done) wall.onloudness(loudness);
      },
      onmove: (by) => wall.onmove(by),
      onopen: () => {
        if (this.floating) this.floating.prepare();
        this.refreshMore();
      },
      onclose: () => this.floating && this.floating.release(),
    });
    this.build();
    this.floating = PictureInPicture.able() ? this.makeFloating() : null;
    const plays = playable(wall.engine);
    plays.then((families) => (this.plays = families));
    this.feed = new Feed(name, plays, {
      onready: (abilities) => this.onready(abilities),
      link: (message) => this.onlink(message),
      clock: (message) => this.onclock(message),
      control: ({ message }) => this.oncontrol(message),
      track: (message) => {
        this.ontrack(message).catch((error) => message.choice === this.choice && this.onfail(String(error)));
      },
      frame: ({ choice, data }) => this.onframe(choice, data),
      size: ({ choice, width, height }) => choice === this.choice && this.onsize(width, height),
      stats: ({ choice, stats }) => choice === this.choice && this.onstats(stats),
      glass: ({ choice, timestamp, moment }) => choice === this.choice && this.onglass(timestamp, moment - TIME_ORIGIN),
      fail: ({ choice, surface, reason }) => choice === this.choice && this.onfail(reason, surface),
      surface: (message) => this.onsurface(message),
      "sound-track": ({ message, init }) => this.sound.track(message, init),
      "sound-end": () => this.sound.end(),
      "sound-frame": ({ data, timestamp }) => this.sound.frame(data, timestamp),
      "sound-fail": ({ reason }) => this.sound.decodeFailed(reason),
    });
    if (wall.sounds) this.sound.turnOn();
    this.onvisibility = () => this.setWatched();
    document.addEventListener("visibilitychange", this.onvisibility);
    this.observer = new IntersectionObserver((entries) => {
      this.onScreen = entries[entries.length - 1].isIntersecting;
      this.setWatched();
    });
    this.observer.observe(this.element);
    // For pictures that are turned (pose.js): CSS alone cannot make something as wide as another thing is high.
    this.measure = new ResizeObserver((entries) => {
      const { width, height } = entries[entries.length - 1].contentRect;
      this.picture.style.setProperty("--width", `${width}px`);
      this.picture.style.setProperty("--height", `${height}px`);
    });
    this.measure.observe(this.picture);
    this.timer = setInterval(() => this.look(), TICK);
    this.setWatched();
    this.refresh();
  }

  /** @returns {import("./delay-details.js").TileStats} */
  stats() {
    const engine = this.engine;
    const { fed, shown, dropped, bufferedAhead, stalls } = engine
      ? engine.stats
      : { fed: 0, shown: 0, dropped: 0, bufferedAhead: 0, stalls: 0 };
    return {
      engine: engine ? engine.name : "",
      surface: engine instanceof Screen ? engine.surface : "",
      fed,
      shown: this.shownBefore + shown,
      dropped,
      received: engine instanceof JpegEngine ? engine.stats.received : this.received,
      bufferedAhead,
      stalls,
      opened: this.openedAt,
      delay: this.delay,
      pace: this.pace,
      parts: this.parts(),
      drops: this.way.drops || 0,
      size: this.size,
      sound: this.sound.stats,
      transport: this.transport,
    };
  }

  /** ms from the lens to the screen, null where it is old or was never known. @returns {number | null} */
  get delay() {
    return performance.now() - this.seen.at < this.freshFor ? this.seen.delay : null;
  }

  /** ms from one picture of the camera to the next, lately; null while that is not known. @returns {number | null} */
  get pace() {
    return this.way.pace === undefined ? null : this.way.pace / 1000;
  }

  get freshFor() {
    return Math.max(FRESH, FRESH_INTERVALS * (this.pace || 0));
  }

  /** @returns {Parts} */
  parts() {
    const { delay } = this;
    const fresh = performance.now() - this.come.at < this.freshFor;
    const arrival = fresh ? this.come.arrival : null;
    const decoding = fresh ? this.come.decode : null;
    const known = [this.way.encode, this.way.uplink, this.way.relay];
    const [encode, uplink, relay] = known.map((part) => (part === undefined ? null : part / 1000));
    const atRelay = uplink === null || relay === null ? null : (encode || 0) + uplink + relay;
    // These are medians of different moments: a part that is next to nothing may come out below it.
    const downlink = arrival === null || atRelay === null ? null : Math.max(0, arrival - atRelay);
    const rest = delay === null || arrival === null ? null : Math.max(0, delay - arrival);
    if (this.engine && !(this.engine instanceof Screen)) return { encode, uplink, relay, downlink, decode: rest, screen: null };
    const screen = rest === null || decoding === null ? null : Math.max(0, rest - decoding);
    return { encode, uplink, relay, downlink, decode: decoding, screen };
  }

  /** Its place on the wall, from 0 on, and how many there are; 1 where tiles are not moved. @param {number} place @param {number} places */
  setRank(place, places) {
    if (this.rank.place === place && this.rank.places === places) return;
    this.rank = { place, places };
    this.refreshMore();
  }

  /** @param {boolean} large whether this tile fills the window @param {boolean} alone whether there is a wall to go back to */
  setLarge(large, alone) {
    if (this.element.classList.contains("large") !== large) {
      this.pad.setOpen(large);
      this.more.setOpen(false);
    }
    this.element.classList.toggle("large", large);
    this.back.hidden = !large || alone;
    this.label.setAttribute("aria-level", large && !alone ? "1" : "2"); // the page's own heading is not seen then
    this.fullscreen.hidden = !large || !(document.fullscreenEnabled || /** @type {any} */ (document).webkitFullscreenEnabled);
    this.nameView();
    if (!large && this.isFullscreen()) this.toggleFullscreen();
  }

  close() {
    clearInterval(this.timer);
    forgetLabel(this.name);
    document.removeEventListener("visibilitychange", this.onvisibility);
    this.observer.disconnect();
    this.measure.disconnect();
    this.sound.turnOff();
    this.feed.close();
    this.details.close();
    this.pad.close();
    this.more.close();
    if (this.floating) this.floating.close();
    if (this.engine) this.engine.close();
    this.engine = null;
    this.dropRetired();
    this.element.remove();
  }

  // --- the relay ---

  /** @param {{state: import("../../shared/relay/relay-link.js").LinkState, refusal: {id: string, text: string} | null,
   *          transport: import("../../shared/relay/relay-link.js").Transport, place: import("../../shared/relay/relay-link.js").Place | null, moved: boolean | null}} link */
  onlink({ state, refusal, transport, place, moved }) {
    this.linkState = state;
    this.transport = transport;
    if (refusal || state === "open" || state === "closed") this.refusal = refusal; // one try without an answer takes nothing back
    this.place = place;
    relay.linked(state, refusal, moved);
    if (this.engine instanceof JpegEngine) {
      this.engine.setPlace(place);
      this.engine.setWatched(this.asks);
    }
    if (state === "open") {
      this.wasOpen = true;
      this.heardAt = performance.now();
    } else {
      this.camera = null;
      this.pad.update({}); // a camera that turns is told of again
    }
    this.refresh();
    if (state === "closed" && refusal) this.wall.onrefused(refusal.text);
  }

  /** @param {{offset: number | null, opened: number, way: any}} clock */
  onclock({ offset, opened, way }) {
    this.clockOffset = offset;
    this.openedAt = opened;
    if (offset !== null && this.undated) this.date(this.undated.timestamp, this.undated.moment);
    if (way) this.onpong(way);
    this.way = way || {};
    this.sound.clock(offset);
    if (!this.inSight && this.watched) this.look(); // a hidden page's own clock may go once a minute only
  }

  /** @param {Tile["way"]} way */
  onpong(way) {
    const now = performance.now();
    const left = (way.drops || 0) - (this.way.drops || 0);
    if (left > 0 && now - this.begunAt > BEGINNING) {
      this.slowFrom = this.pongAt;
      this.slowAt = now;
    }
    this.heardAt = this.pongAt = now;
    relay.heard();
    if (way.idle !== undefined) this.filmedAt = now - way.idle / 1000;
  }

  /** Begins, and ends what needs a connection of its own while the camera is gone: of its return the list tells.
   *  @param {import("./departure.js").Word | null} word of the wall's list; null where this camera is alone on its page */
  hear(word) {
    this.listed = word;
    if (word) hearLabel(this.name, word.label || "");
    if (this.isHungUp) this.feed.hangUp();
    else this.feed.open();
    if (word) this.departure.hear(word);
  }

  get isHungUp() {
    return this.listed !== null && this.listed.state === "gone";
  }

  /** The camera is gone, gone otherwise, or back. */
  ongone() {
    const { gone } = this.departure;
    if (gone) {
      this.endVideo();
      this.sound.end();
      if (this.announcedState !== "gone") this.wall.announce(""); // it is no longer what was said last
    }
    if (this.engine instanceof JpegEngine) this.engine.setWatched(this.asks);
    this.refresh();
    this.keepFocus();
    this.wall.ongone(gone);
  }

  /** It is time that a screen reader says it. */
  announceGone() {
    this.announcedState = "gone";
    this.wall.announce(`${this.called}: ${this.departure.words}`);
  }

  /** @param {any} message */
  oncontrol(message) {
    if (this.isHungUp) return; // that was on its way
    if (message.type === "state") hearLabel(this.name, message.label || "");
    if (message.type === "welcome") this.onwelcome();
    else if (message.type === "state") this.onstate(message.state, message.reason || "", message.keyless === true, message.sound || "", message.since);
    else if (message.type === "track-end") this.endVideo();
    else if (message.type === "turns") this.pad.update(message);
    else if (message.type === "refused") this.pad.refuse(message.text);
  }

  /** The relay may be another one, with another clock: everything begins anew, behind the last picture. */
  onwelcome() {
    this.endVideo();
    this.sound.restart();
  }

  /** @param {string} state @param {string} reason @param {boolean} keyless pictures come, but none to begin with
   *  @param {string} microphone what the camera says of it @param {number} [since] ms since the epoch, by the relay's clock: when it went */
  onstate(state, reason, keyless, microphone, since) {
    const went = this.camera ? this.camera.state : "";
    this.camera = { state, reason, keyless, microphone };
    if (state === "live" && !(keyless && went === "live")) this.pictureAt = performance.now();
    // A relay that has come back and knows nothing of a camera that was here: where there is a list, that tells.
    const lost = state === "waiting" && !keyless && went === "" && this.hadPicture && this.listed === null;
    if (lost && !this.departure.gone) this.departure.hear({ state: "gone", reason: "lost" });
    else this.departure.hear({ state, reason, keyless, since });
    this.refresh();
  }

  /** The video's track is over; its last picture stays. */
  endVideo() {
    if (!this.video) return;
    this.video = null;
    if (!this.engine) return;
    this.shownEarlier = this.engine.stats.shown;
    if (this.engine.name === "mse") this.useEngine("mse"); // what is in its buffer lies on a timeline that is over
  }

  /** @param {{choice: number, message: TrackMessage, init: ArrayBuffer, plays: boolean}} track */
  async ontrack({ choice, message, init, plays }) {
    if (choice !== this.choice) return;
    const same = this.video !== null && this.video.mime === message.mime;
    this.video = message;
    if (message.width && message.height && !this.hadPicture) this.setSize(sizeOf(message, message.width, message.height));
    if (!same) {
      this.failures.clear();
      this.unable.clear();
      this.forgiveAfter = FORGIVE_FIRST;
      this.hopeAfter = HOPE_FIRST;
    }
    this.begunAt = performance.now();
    const { engine } = this;
    const best = this.bestEngine();
    if (!engine || engine.name !== best) return this.useEngine(best);
    // What is in its buffer is turned otherwise: that stays until the new one has a picture.
    if (engine instanceof MseEngine && engine.turn !== turnOf(message) && engine.stats.fed > 0) return this.useEngine("mse");
    const can = engine instanceof Screen ? plays : engine instanceof JpegEngine || (await MseEngine.supports(message));
    if (choice !== this.choice) return;
    if (!can) {
      this.unable.add(engine.name);
      return this.onfail(`this browser does not play ${message.codec}`);
    }
    this.attempt(() => engine.track(message, init));
    if (choice === this.choice) this.expectPicture();
  }

  /** @param {number} choice @param {ArrayBuffer} data */
  onframe(choice, data) {
    const { engine, video } = this;
    if (choice === this.choice && engine && video) this.attempt(() => engine.frame(video.number, data));
    if (this.floating) this.floating.paint();
  }

  // --- the engine ---

  /** @param {import("../receive/receiver-port.js").Abilities} abilities */
  onready(abilities) {
    this.surfaces = this.wall.surface ? [this.wall.surface] : surfaceKinds(abilities);
    this.useEngine(this.bestEngine());
  }

  /** @returns {string | null} the best engine that has not failed */
  bestEngine() {
    return ENGINES.find((name) => !this.failures.has(name) && (!this.wall.engine || name === this.wall.engine)) || null;
  }

  /** Makes an engine, and lets the Receiver know. @param {string | null} name */
  useEngine(name) {
    this.retireEngine();
    this.choice += 1;
    this.blocked = false;
    const { choice } = this;
    const elements = [...this.picture.children];
    try {
      if (name === "frames") {
        const screen = this.makeScreen(choice);
        this.engine = screen;
        this.feed.tell("engine", { choice, name, surface: screen.order }, screen.transfer);
      } else {
        this.engine = name === "mse" ? this.makeMse(choice) : name === "jpeg" ? this.makeJpeg(choice) : null;
        this.feed.tell("engine", { choice, name: name || "none" });
      }
    } catch (error) {
      for (const element of [...this.picture.children]) if (!elements.includes(element)) element.remove();
      return this.setAside(String(name), String(error), name === "frames");
    }
    this.expectPicture();
    this.refresh();
  }

  /** What floats besides the page needs each picture there, unless a <video> plays it as it is. @returns {import("../engines/surface.js").SurfaceKind} */
  get surfaceKind() {
    const [best] = this.surfaces;
    const floats = this.floating !== null && this.floating.floats;
    return floats && (best !== "generator" || (this.video !== null && turnOf(this.video) !== "")) ? "canvas" : best;
  }

  /** @param {number} choice @returns {Screen} */
  makeScreen(choice) {
    return new Screen(this.surfaceKind, this.picture, {
      tell: (message) => this.feed.tell("surface", { choice, ...message }),
      onglass: (timestamp, moment) => choice === this.choice && this.onglass(timestamp, moment),
      onfail: (reason) => choice === this.choice && this.onfail(reason, true),
    });
  }

  /** @param {number} choice @returns {MseEngine} */
  makeMse(choice) {
    return new MseEngine(this.picture, {
      onfail: (reason) => {
        if (choice === this.choice) this.onfail(reason);
      },
      onpicture: (timestamp, width, height, moment) => {
        if (choice !== this.choice) return;
        this.onglass(timestamp, Math.min(moment, performance.now())); // some tell when it is going to be seen: that is a promise
        this.onsize(width, height);
        this.onpicture();
      },
      onblocked: (blocked) => {
        if (choice !== this.choice) return;
        this.blocked = blocked;
        this.refresh();
      },
      send: (message) => {
        if (choice === this.choice) this.feed.send(message);
      },
    });
  }

  /** @param {number} choice @returns {JpegEngine} */
  makeJpeg(choice) {
    return new JpegEngine(this.picture, this.name, this.asks, this.place, {
      onfail: (reason) => choice === this.choice && this.onfail(reason),
      onarrival: (timestamp) => {
        if (choice !== this.choice) return;
        const now = performance.now();
        this.heardAt = this.receivedAt = now;
        this.come = { arrival: this.ageAt(timestamp, now), decode: null, at: now };
      },
      onpicture: (timestamp, width, height, moment) => {
        if (choice !== this.choice) return;
        this.onglass(timestamp, moment);
        this.setSize({ width, height });
        this.onpicture();
      },
      onblocked: () => {},
      send: () => {},
    });
  }

  /** @param {{choice: number, picture?: VideoFrame, track?: MediaStreamTrack}} message from the Receiver's end of the surface */
  onsurface(message) {
    const { engine } = this;
    if (message.choice === this.choice && engine instanceof Screen) this.attempt(() => engine.receive(message), true);
    else if (message.picture) message.picture.close();
    else if (message.track) message.track.stop();
    if (message.picture && this.floating) this.floating.paint();
  }

  /** Does something with the engine; where that breaks, whatever the error is, the next one's turn comes.
   *  @param {() => void} action @param {boolean} [ofSurface] the engine itself is well */
  attempt(action, ofSurface = false) {
    const { choice } = this;
    try {
      action();
    } catch (error) {
      if (choice === this.choice) this.onfail(String(error), ofSurface);
    }
  }

  /** @param {string} reason @param {boolean} [ofSurface] the engine itself is well */
  onfail(reason, ofSurface = false) {
    const { engine } = this;
    if (!engine) return;
    if (engine.stats.shown > 0) this.forgiveAfter = FORGIVE_FIRST; // it can, but not always
    this.setAside(engine.name, reason, ofSurface);
  }

  /** Uses the next engine, or the same one with the next surface. @param {string} name @param {string} reason @param {boolean} ofSurface */
  setAside(name, reason, ofSurface) {
    if (ofSurface && this.surfaces.length > 1 && this.surfaceKind === this.surfaces[0]) {
      this.surfaces.shift();
      this.useEngine(name);
      return;
    }
    this.failures.set(name, reason);
    this.failedAt = performance.now();
    const next = this.bestEngine();
    const plays = next && next !== "jpeg";
    if (!plays && this.video) this.feed.send({ type: "unplayable", codec: this.video.codec }); // perhaps the camera has another one
    this.useEngine(next);
  }

  /** @param {{received: number, fed: number, shown: number, dropped: number, arrival: number | null, decode: number | null}} stats */
  onstats({ received, fed, shown, dropped, arrival, decode }) {
    if (this.engine instanceof JpegEngine) return; // it has its own
    if (received !== this.received) this.heardAt = this.receivedAt = performance.now();
    this.received = received;
    this.come = { arrival, decode, at: performance.now() };
    if (!(this.engine instanceof Screen)) return;
    const { stats } = this.engine;
    const more = shown > stats.shown;
    Object.assign(stats, { received, fed, shown, dropped });
    if (!more) return;
    if (!this.inSight && arrival !== null) this.filmed = Date.now() - arrival; // no picture of it is looked at here
    this.onpicture();
  }

  /** A picture is on the screen. @param {number} timestamp µs of the relay's clock @param {number} moment ms of performance.now() */
  onglass(timestamp, moment) {
    this.date(timestamp, moment);
    const delay = this.ageAt(timestamp, moment);
    if (delay === null || delay <= 0) return; // the clocks are not known well enough yet
    this.delays.push(delay);
    if (this.delays.length > MOST_DELAYS) this.delays.shift();
  }

  /** The picture that is seen last is this one. @param {number} timestamp @param {number} moment as above */
  date(timestamp, moment) {
    const age = this.ageAt(timestamp, moment);
    this.undated = age === null ? { timestamp, moment } : null;
    if (age !== null) this.filmed = Date.now() - Math.max(0, age + performance.now() - moment);
  }

  /** How old (ms) a picture of this time (µs of the relay's clock) is at this moment (ms of performance.now()).
   *  @param {number} timestamp @param {number} moment @returns {number | null} */
  ageAt(timestamp, moment) {
    return this.clockOffset === null ? null : TIME_ORIGIN + moment + (this.clockOffset - timestamp) / 1000;
  }

  onpicture() {
    this.pictureAt = performance.now();
    if (this.engine) this.fedAtPicture = this.engine.stats.fed;
    // More may have gone in by the next look, and each time: an engine whose pictures are counted only now and then is not mute.
    this.mouthfulAt = this.pictureAt;
    this.hadPicture = true;
    this.blocked = false;
    this.dropRetired();
    if (this.floating) this.floating.paint();
    if (this.state !== "live") this.refresh();
  }

  /** The engine may take its time from now on. */
  expectPicture() {
    this.pictureAt = performance.now();
    this.fed = this.fedAtPicture = this.engine ? this.engine.stats.fed : 0;
    this.mouthfulAt = this.darkAt = this.pictureAt;
  }

  retireEngine() {
    if (!this.engine) return;
    const { engine } = this;
    this.engine = null;
    this.shownBefore += engine.stats.shown;
    this.shownEarlier = 0;
    const stays = !this.retired && engine.stats.shown > 0;
    if (stays) this.retired = engine;
    if (stays && this.floating) this.floating.look();
    end(() => (stays ? engine.retire() : engine.close()));
  }

  dropRetired() {
    const { retired } = this;
    if (!retired || (this.floating && this.floating.holds(this.picture.firstElementChild))) return;
    this.retired = null;
    end(() => retired.close());
  }

  /** What is seen of the pictures, null before there is one. @returns {import("../engines/pose.js").Shown | null} */
  get shown() {
    const has = this.retired !== null || (this.engine !== null && this.engine.stats.shown > 0);
    return has ? /** @type {any} */ (this.picture.firstElementChild) : null;
  }

  /** When that was filmed, ms since the epoch; while the clocks are not known, when it was shown. @returns {number} */
  get shownTime() {
    const { undated, filmed } = this;
    return undated ? Date.now() - (performance.now() - undated.moment) : filmed || Date.now();
  }

  /** Single pictures are asked for where somebody looks, and where it is known that the relay is there and takes this page's key. */
  get asks() {
    return this.watched && this.linkState === "open" && !this.departure.gone;
  }

  setWatched() {
    this.inSight = this.onScreen && document.visibilityState === "visible";
    const watched = this.inSight || (this.floating !== null && this.floating.floats);
    const { engine } = this;
    if (this.inSight && engine instanceof Screen) this.attempt(() => engine.resume(), true); // some browsers have stopped it
    if (watched === this.watched) return;
    this.watched = watched;
    this.feed.tell("watched", { watched });
    if (engine instanceof JpegEngine) engine.setWatched(this.asks);
    if (!watched) return;
    this.expectPicture();
    this.heardAt = this.begunAt = this.pictureAt; // nobody has listened meanwhile
    this.refresh();
  }

  // --- what people see ---

  build() {
    this.picture = part("span", "picture");
    this.view = part("button", "view", this.picture);
    this.view.type = "button";
    this.view.addEventListener("click", () => this.wall.ontap());
    this.labelText = part("bdi", "");
    this.nameBeside = part("span", "beside");
    this.label = part("span", "name", this.labelText, this.nameBeside);
    this.label.setAttribute("role", "heading");
    this.status = part("span", "status");
    this.slow = part("span", "slow");
    this.slow.hidden = true;
    this.slow.title = "Pictures are left out, so that those that come are of now.";
    this.notice = part("p", "notice");
    nameButton(this.back, "Back to all cameras");
    this.back.classList.add("back");
    const { none, button, words } = this.soundControl;
    this.tools = part("div", "tools", this.departure.button, this.pad.button, none, button, this.fullscreen, this.more.button);
    const plate = part("div", "plate", this.label, this.status, this.details.button, this.slow);
    this.caption = part("div", "caption", words, part("div", "words", plate), this.tools);
    const shelf = part("div", "shelf", this.details.panel, this.pad.panel);
    this.element = part("section", "tile", this.view, this.back, part("div", "deck", this.notice, shelf, this.caption), this.more.panel);
    this.element.addEventListener("keydown", (/** @type {KeyboardEvent} */ event) => this.pad.key(event));
    this.element.dataset.camera = this.name;
    /** @type {any} */ (this.element).tile = this;
    this.setLarge(false, false);
    this.showCalled();
  }

  nameView() {
    const large = this.element.classList.contains("large");
    const what = !large ? "show large" : this.back.hidden ? "" : "back to all cameras";
    this.view.setAttribute("aria-label", what ? `${this.called}: ${what}` : this.called);
  }

  /** What this camera is called may be told later, and be the same as of one that comes later. */
  showCalled() {
    const text = calledInText(this.name);
    if (text === this.called) return;
    this.called = text;
    const { label, beside } = called(this.name);
    this.labelText.textContent = label;
    this.nameBeside.textContent = beside;
    this.element.setAttribute("aria-label", `Camera ${text}`);
    this.nameView();
    this.soundControl.name = text;
    nameButton(this.pad.button, `Turn ${text}`);
    this.pad.panel.setAttribute("aria-label", `Turn ${text}`);
    nameButton(this.departure.button, `Put away ${text}`);
    this.details.name(text);
  }

  /** @param {SVGSVGElement} symbol @param {() => void} action @returns {HTMLButtonElement} */
  tool(symbol, action) {
    const tool = button("tool", symbol);
    tool.addEventListener("click", action);
    return tool;
  }

  isFullscreen() {
    const page = /** @type {any} */ (document);
    return (page.fullscreenElement || page.webkitFullscreenElement) === this.element;
  }

  toggleFullscreen() {
    const page = /** @type {any} */ (document);
    const done = this.isFullscreen()
      ? (page.exitFullscreen || page.webkitExitFullscreen).call(page)
      : (this.element.requestFullscreen || this.element.webkitRequestFullscreen).call(this.element);
    if (done) done.catch(() => this.refresh()); // refused: the button goes on saying what is
  }

  /** The pictures have this size from now on, before they are turned. @param {number} width @param {number} height */
  onsize(width, height) {
    if (!this.video) return;
    if (this.engine instanceof Screen) turn(this.engine.element, this.video);
    this.setSize(sizeOf(this.video, width, height));
  }

  /** @param {{width: number, height: number}} size of the picture as it is seen */
  setSize({ width, height }) {
    this.size = { width, height };
    const aspect = width / height;
    if (!(aspect > 0) || Math.abs(aspect - this.aspect) < 0.01) return;
    this.aspect = aspect;
    this.wall.onaspect();
  }

  /** Everything that time changes. */
  look() {
    const now = performance.now();
    const delay = median(this.delays);
    this.delays = [];
    if (delay !== null) {
      this.seen = { delay, at: now };
      this.sound.picture(delay);
    } else if (this.delay === null && this.seen.delay !== null) {
      this.seen = { delay: null, at: 0 };
      this.sound.picture(null);
    }
    const { engine } = this;
    if (this.watched && engine instanceof Screen) this.attempt(() => engine.look(), true);
    if (engine instanceof Screen && this.video && engine.surface !== this.surfaceKind) this.useEngine("frames");
    if (engine instanceof MseEngine && !this.inSight) this.attempt(() => engine.countFrames());
    this.sound.look();
    this.refresh();
    this.details.update(this.stats(), this.state === "live");
    this.keepFocus();
  }

  /** A part that is hidden loses the focus: then the picture has it. */
  keepFocus() {
    const { activeElement, body } = document;
    const inside = this.element.contains(activeElement);
    if (inside) this.focused = activeElement;
    const hidden = this.focused !== null && this.focused.getClientRects().length === 0;
    if (hidden && !this.element.hidden && (inside || activeElement === body)) this.view.focus({ preventScroll: true });
    else if (!inside) this.focused = null;
  }

  /** Says what is: called at every change and by the clock. */
  refresh() {
    this.showCalled();
    this.checkEngine();
    const [state, sentence, why = ""] = this.judge();
    const { dataset } = this.element;
    dataset.why = why;
    dataset.reason = state === "gone" && this.departure.gone ? this.departure.gone.reason : "";
    if (state !== this.state || !dataset.state) {
      this.state = state;
      dataset.state = this.status.dataset.state = state;
      const asleep = !this.watched && this.camera !== null && this.camera.reason === "unwatched"; // nobody waits for it
      const later = state === "connecting" || state === "gone"; // it may be for a moment; see announceGone
      if (state !== this.announcedState && !later && !asleep) {
        this.announcedState = state;
        this.wall.announce(`${this.called}: ${WORDS[state]}. ${sentence}`);
      }
    }
    const stranded = state === "connecting" && this.isStranded;
    setText(this.status, stranded ? "Offline" : state === "gone" && this.departure.calm ? OFF : WORDS[state]);
    setText(this.notice, sentence);
    this.notice.hidden = sentence === "";
    this.refreshSound();
    this.slow.hidden = state !== "live" || performance.now() - this.slowAt > SLOW_FOR;
    setText(this.slow, this.isBusy ? "slow device" : "slow network");
    dataset.slow = String(!this.slow.hidden);
    const engine = this.engine;
    dataset.engine = engine ? engine.name : "";
    dataset.frames = String(this.shownBefore + (engine ? engine.stats.shown : 0));
    dataset.floating = String(this.floating !== null && this.floating.floats);
    setIcon(this.fullscreenIcon, this.isFullscreen() ? "icon-shrink" : "icon-fill");
    nameButton(this.fullscreen, this.isFullscreen() ? "Leave full screen" : "Full screen");
    this.refreshMore();
    if (this.floating) this.floating.look();
  }

  refreshMore() {
    const { floating, sound } = this;
    this.more.refresh({
      name: this.called,
      picture: this.shown !== null,
      floats: floating && this.shown !== null,
      floating: floating !== null && floating.floats,
      loudness: sound.isAdjustable ? sound.loudness : null,
      ...this.rank,
    });
  }

  // --- what a person does with the picture ---

  async save() {
    const { shown, shownTime, state } = this;
    if (!shown) return;
    try {
      hand(await stillOf(shown, shownTime), fileName(this.name, shownTime));
      this.tell(`Saved the ${state === "live" ? "picture" : "last picture, which is"} of ${timeOf(shownTime)}.`);
    } catch (error) {
      this.tell("This browser could not save the picture.");
    }
  }

  makeFloating() {
    const floating = new PictureInPicture(this.picture, {
      shown: () => this.shown,
      video: () => this.floatingVideo,
      live: () => this.state === "live",
      words: () => [this.called, this.notice.textContent || WORDS[this.state]],
      onchange: () => {
        this.setWatched();
        this.refresh();
      },
    });
    this.element.append(floating.own);
    return floating;
  }

  /** The engine's own <video>, where it is seen as it is. @returns {HTMLVideoElement | null} */
  get floatingVideo() {
    const { shown, engine } = this;
    const own = this.retired === null && (engine instanceof MseEngine || (engine instanceof Screen && engine.surface === "generator"));
    return own && shown instanceof HTMLVideoElement && !isTurned(shown) ? shown : null;
  }

  async toggleFloating() {
    const { floating } = this;
    if (!floating || !this.shown) return;
    try {
      await floating.toggle();
      this.more.setOpen(false);
    } catch (error) {
      this.tell("This browser shows no picture in picture now.");
    }
  }

  /** What came of what a person did. @param {string} text */
  tell(text) {
    this.more.say(text);
    this.wall.announce(`${this.called}: ${text}`);
  }

  refreshSound() {
    const { camera, soundControl, way } = this;
    soundControl.refresh({
      microphone: camera ? camera.microphone : "",
      level: way.level === undefined ? null : way.level,
      live: this.linkState === "open" && camera !== null && camera.state === "live",
      drawn: this.watched,
      now: performance.now(),
    });
    this.element.dataset.sound = this.sound.state;
    this.element.dataset.silence = soundControl.trouble;
  }

  /** An engine that eats frames and shows nothing has failed, whatever it says. */
  checkEngine() {
    const now = performance.now();
    const { engine } = this;
    if (engine instanceof JpegEngine && this.hopes && now - this.failedAt > this.hopeAfter) {
      this.hopeAfter = Math.min(2 * this.hopeAfter, HOPE_LAST);
      this.unable.clear();
      this.failures.clear();
      return this.useEngine(this.bestEngine());
    }
    // Single pictures are better than none, but not than an engine that could not for a moment only.
    if (!engine || (engine instanceof JpegEngine && this.failures.size > this.unable.size)) {
      if (this.video && this.failedAt > 0 && now - this.failedAt > this.forgiveAfter) {
        if (!engine) this.unable.clear();
        for (const name of this.failures.keys()) if (!this.unable.has(name)) this.failures.delete(name);
        this.failedAt = 0;
        this.forgiveAfter = Math.min(2 * this.forgiveAfter, FORGIVE_LAST);
        this.useEngine(this.bestEngine());
      }
      if (!this.engine || this.engine !== engine) return;
    }
    const { fed, shown } = engine.stats;
    if (fed !== this.fed) {
      this.fed = fed;
      this.fedAt = now;
    }
    if (fed === this.fedAtPicture || now - this.fedAt > FEEDING || !this.watched || this.blocked) this.mouthfulAt = now;
    if (now - this.mouthfulAt > MUTE_ENGINE_AFTER) return this.onfail("no picture came out of the frames that went in");
    if (!(engine instanceof Screen)) return;
    if (engine.lit || shown === 0 || !this.inSight) this.darkAt = now;
    if (now - this.darkAt > DARK_SURFACE_AFTER) this.onfail("the pictures do not reach the screen", true);
  }

  /** Whether the camera may be asked once more for a codec that this browser plays. */
  get hopes() {
    if (!this.watched || this.video === null || this.unable.size === 0 || this.failures.size > this.unable.size) return false;
    return playsOthers(this.plays, this.video.codec);
  }

  /** @returns {[TileState, string, string?]} the sentence that belongs over the picture, "" for none; and why it is frozen */
  judge() {
    if (this.linkState === "closed" && this.refusal) return ["failed", this.refusal.text];
    // Without a list, the camera may have come back while there is no connection.
    if (this.departure.gone && (this.listed || this.linkState === "open")) return ["gone", this.departure.words];
    if (this.linkState !== "open") return ["connecting", this.awaySentence()];
    if (!this.camera) return ["connecting", "Connecting…"];
    const { state, reason, keyless } = this.camera;
    if (state === "waiting" && keyless) return ["waiting", KEYLESS];
    if (state === "waiting") return ["waiting", this.hadPicture ? "Waiting for the camera…" : "Not there yet."];
    if (state === "paused") return ["paused", PAUSED_BECAUSE[reason] || "Paused."];
    if (this.video && this.hasFailed()) return ["failed", this.failureSentence()];
    if (this.blocked) return ["connecting", "Tap the picture to start it."];
    const late = this.watched ? this.lateness : "";
    if (late === "late") return this.judgeSilence();
    if (late === "waiting" && !keyless && this.hadPicture) return ["connecting", "Waiting for the next picture…"];
    if (this.engine && this.engine.stats.shown > this.shownEarlier) return ["live", ""];
    if (keyless) return ["connecting", KEYLESS];
    return ["connecting", this.hadPicture ? "" : "Waiting for the first picture…"];
  }

  /** @returns {string} */
  awaySentence() {
    const refusal = refusalOf(this.refusal);
    const away = relay.away();
    const { classList } = this.element;
    const small = classList.contains("small");
    const short = small || classList.contains("narrow"); // there is room for few words, and the page's banner has the rest
    const isOld = this.filmed > 0 && Date.now() - this.filmed > OLD_PICTURE;
    const old = isOld ? ` ${small ? "Picture" : "This picture is"} from ${timeOf(this.filmed)}.` : "";
    if (away && short) return old.trim() || "No connection.";
    if (away) return `${awayWords(away)}.${old}`;
    if (relay.restarting) return "The relay is restarting…";
    if (refusal) return `${concernsPage(refusal) ? "The relay refuses this page." : refusal.text}${old}`;
    return this.wasOpen || this.linkState === "waiting" ? `No connection. Trying again…${old}` : "Connecting…";
  }

  /** There is no connection, and it is not a matter of a moment. */
  get isStranded() {
    return this.linkState !== "open" && (refusalOf(this.refusal) !== null || relay.away() !== null) && !relay.restarting;
  }

  /** This device does not keep up, so what is missing here may have come. */
  get isBusy() {
    const { decode, at } = this.come;
    return device.isBusy || (decode !== null && decode > SLOW_DECODING && performance.now() - at < this.freshFor);
  }

  get lateness() {
    const now = performance.now();
    return lateness(now - this.pictureAt, now - this.heardAt, this.pace);
  }

  /** Live, and yet no picture: who holds it back? Nobody is blamed without proof.
   *  @returns {[TileState, string, "network" | "slow" | "browser" | "camera" | "relay" | "unknown"]} */
  judgeSilence() {
    const now = performance.now();
    const seconds = (/** @type {number} */ since) => Math.floor((now - since) / 1000);
    const { pictureAt, heardAt, pongAt, filmedAt, engine } = this;
    const busy = `This device is too busy: no picture for ${seconds(pictureAt)} s.`;
    if (now - heardAt > SILENT_AFTER && device.isBusy) return ["frozen", busy, "browser"];
    if (now - heardAt > SILENT_AFTER) {
      return ["frozen", `No answer from the relay for ${seconds(heardAt)} s: this network stands still.`, "network"];
    }
    if (engine instanceof JpegEngine && engine.refusal) return ["frozen", engine.refusal, "relay"];
    const late = pictureAt + PROOF;
    if (pongAt > late && (filmedAt < late || pongAt - filmedAt > SILENT_AFTER)) {
      return ["frozen", `The camera has sent nothing for ${seconds(filmedAt)} s.`, "camera"];
    }
    if (this.camera && this.camera.keyless) return ["frozen", KEYLESS, "camera"];
    if (this.slowFrom > pictureAt && this.isBusy) return ["frozen", busy, "browser"];
    if (this.slowFrom > pictureAt) return ["frozen", "This network is too slow: pictures are left out.", "slow"];
    if (this.receivedAt > late) return ["frozen", `This browser has shown nothing for ${seconds(pictureAt)} s.`, "browser"];
    // An answer that came through all that was sent before it, and no picture among that: its sound may go on.
    if (pongAt > late + BEGINNING) return ["frozen", `The camera has sent no picture for ${seconds(pictureAt)} s.`, "camera"];
    return ["frozen", `No picture for ${seconds(pictureAt)} s.`, "unknown"];
  }

  hasFailed() {
    return this.bestEngine() === null;
  }

  failureSentence() {
    const reasons = [...new Set(this.failures.values())].join("; ");
    return `This browser cannot show this camera (${reasons}). Try another browser or another camera.`;
  }
}
