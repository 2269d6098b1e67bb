// The engines of one tile: makes the best one, gives it what comes, and makes the next one where
// that fails. The last picture stays until the next engine has one.
//
// An engine turns a video track's messages into pictures. There are two: "frames", decoded where
// the Receiver is and shown by a Screen (screen.js), and "mse", MediaSource in the page. A third
// one, "jpeg", takes no messages but asks the relay for pictures, where the browser plays neither.
// In the page each one keeps this contract:
//
//   name, stats            see Engine
//   track(message, init)   a track begins, begins anew, or is replayed: its next frame is a
//                          keyframe
//   frame(number, data)    one frame message of that track
//   retire()               goes on showing its last picture, and wants nothing more
//   close()                frees everything and takes the picture away
//
// It may be given every frame since the last keyframe at once and then shows the newest only. If it
// cannot go on it calls onfail, once, and waits to be closed; then the next one is made, and the
// Receiver has the relay replay what that needs. The same happens where it throws, also when it is
// made, and where it takes frames and shows nothing.

import { EngineChoice } from "./engine-choice.js";
import { EngineWatch } from "./engine-watch.js";
import { JpegEngine } from "../engines/jpeg-engine.js";
import { MseEngine } from "../engines/mse-engine.js";
import { Screen, surfaceKinds } from "../engines/screen.js";
import { isTurned, sizeOf, turn, turnOf } from "../engines/pose.js";

/** @typedef {import("../../shared/types.js").TrackMessage} TrackMessage */
/** @typedef {import("../../shared/types.js").Engine} Engine */
/** @typedef {import("../engines/surface.js").SurfaceKind} SurfaceKind */

/** tell: to the Receiver (receiver.js); send: to the relay; asks: whether single pictures are asked
 *  for; floats: its picture is in a window of its own; holds: which still shows this element;
 *  onglass: a picture of this time (µs of the relay's clock) is on the screen at this moment;
 *  onarrival: a single picture has come; onsize: they have another size; onpicture: a picture was
 *  shown; onexpect: from now on one is expected; onretire: the last picture stays for a while;
 *  onchange: something else has changed
 *  @typedef {{tell: (type: string, more: object, transfer?: Transferable[]) => void,
 *            send: (message: object) => void, asks: () => boolean, floats: () => boolean,
 *            holds: (element: Element | null) => boolean,
 *            onglass: (timestamp: number, moment: number) => void,
 *            onarrival: (timestamp: number) => void,
 *            onsize: (size: {width: number, height: number}) => void, onpicture: () => void,
 *            onexpect: () => void, onretire: () => void, onchange: () => void}} Handlers */

const NOTHING = { fed: 0, shown: 0, dropped: 0, bufferedAhead: 0, stalls: 0 };

/** What is broken may not even end well. @param {() => void} action */
function end(action) {
  try {
    action();
  } catch (error) {
    console.warn("tile: an engine that does not end,", error);
  }
}

/** Long, because an engine is made, fed, looked at and replaced under one number. */
export class EngineRunner {
  /**
   * @param {string} name of the camera
   * @param {HTMLElement} picture where engines put what they show
   * @param {{engine: string | null, surface: SurfaceKind | null}} forced
   * @param {Handlers} handlers
   */
  constructor(name, picture, forced, handlers) {
    this.name = name;
    this.picture = picture;
    this.forcedSurface = forced.surface;
    this.handlers = handlers;
    this.engines = new EngineChoice(forced.engine);
    this.watch = new EngineWatch();
    /** @type {TrackMessage | null} */
    this.video = null;
    /** @type {Screen | MseEngine | JpegEngine | null} */
    this.engine = null;
    /** Shows the last picture until the new engine has one. @type {Engine | null} */
    this.retired = null;
    /** The number of the present engine: what comes for an earlier one counts no more. */
    this.choice = 0;
    /** The surfaces that have not failed here, best first. @type {SurfaceKind[]} */
    this.surfaces = [];
    /** Where the relay is, null at this page's own origin.
     *  @type {import("../../shared/relay/relay-link.js").Place | null} */
    this.place = null;
    this.watched = true;
    /** The tile itself can be seen. */
    this.inSight = true;
    this.blocked = false;
    this.hadPicture = false;
    this.shownBefore = 0; // by engines that are closed
    this.shownEarlier = 0; // by this engine, of a track that is over
  }

  /** Of the present engine. */
  get stats() {
    return this.engine ? this.engine.stats : NOTHING;
  }

  /** Pictures that all engines have shown. */
  get shownCount() {
    return this.shownBefore + this.stats.shown;
  }

  /** Whether there is a picture of this track. */
  get shows() {
    return this.engine !== null && this.engine.stats.shown > this.shownEarlier;
  }

  /** The kind of the surface, "" where the engine has none. */
  get surface() {
    return this.engine instanceof Screen ? this.engine.surface : "";
  }

  /** Whether single pictures are shown, or why they are not given. @returns {JpegEngine | null} */
  get single() {
    return this.engine instanceof JpegEngine ? this.engine : null;
  }

  /** What is seen of the pictures, null before there is one.
   *  @returns {import("../engines/pose.js").Shown | null} */
  get shown() {
    const has = this.retired !== null || this.stats.shown > 0;
    return has ? /** @type {any} */ (this.picture.firstElementChild) : null;
  }

  /** The engine's own <video>, where it is seen as it is. @returns {HTMLVideoElement | null} */
  get ownVideo() {
    const { shown, engine } = this;
    const plays = engine instanceof MseEngine || this.surface === "generator";
    const own = this.retired === null && plays;
    return own && shown instanceof HTMLVideoElement && !isTurned(shown) ? shown : null;
  }

  /** What floats besides the page needs each picture there, unless a <video> plays it as it is.
   *  @returns {SurfaceKind} */
  get surfaceKind() {
    const [best] = this.surfaces;
    const turned = this.video !== null && turnOf(this.video) !== "";
    return this.handlers.floats() && (best !== "generator" || turned) ? "canvas" : best;
  }

  /** @param {import("../receive/receiver-port.js").Abilities} abilities */
  ready(abilities) {
    this.surfaces = this.forcedSurface ? [this.forcedSurface] : surfaceKinds(abilities);
    this.use(this.engines.best);
  }

  /** @param {{message: TrackMessage, init: ArrayBuffer, plays: boolean, choice: number}} track
   *  plays:
   *         whether "frames" plays it */
  async track({ message, init, plays, choice }) {
    const same = this.video !== null && this.video.mime === message.mime;
    this.video = message;
    const { width, height } = message;
    if (width && height && !this.hadPicture) this.handlers.onsize(sizeOf(message, width, height));
    if (!same) this.engines.begin();
    const { engine } = this;
    const { best } = this.engines;
    if (!engine || engine.name !== best) return this.use(best);
    // What is in its buffer is turned otherwise: that stays until the new one has a picture.
    const turned = engine instanceof MseEngine && engine.turn !== turnOf(message);
    if (turned && engine.stats.fed > 0) return this.use("mse");
    const decodes = engine instanceof Screen ? plays : this.single !== null;
    const can = decodes || (engine instanceof MseEngine && (await MseEngine.supports(message)));
    if (choice !== this.choice) return;
    if (!can) {
      this.engines.cannot(engine.name);
      return this.fail(`this browser does not play ${message.codec}`);
    }
    this.attempt(() => engine.track(message, init));
    if (choice === this.choice) this.expect();
  }

  /** The track is over; its last picture stays. */
  endTrack() {
    if (!this.video) return;
    this.video = null;
    if (!this.engine) return;
    this.shownEarlier = this.engine.stats.shown;
    // What is in its buffer lies on a timeline that is over.
    if (this.engine.name === "mse") this.use("mse");
  }

  /** @param {ArrayBuffer} data */
  frame(data) {
    const { engine, video } = this;
    if (engine && video) this.attempt(() => engine.frame(video.number, data));
  }

  /** @param {{choice: number, picture?: VideoFrame, track?: MediaStreamTrack}} message from the
   *         Receiver's end of the surface */
  receive(message) {
    const { engine } = this;
    if (message.choice === this.choice && engine instanceof Screen) {
      this.attempt(() => engine.receive(message), true);
    } else if (message.picture) message.picture.close();
    else if (message.track) message.track.stop();
  }

  /** What the Receiver counts of a Screen.
   *  @param {{received: number, fed: number, shown: number, dropped: number}} counts
   *  @returns {boolean} whether there was a picture */
  count(counts) {
    if (!(this.engine instanceof Screen)) return false;
    const { stats } = this.engine;
    const more = counts.shown > stats.shown;
    Object.assign(stats, counts);
    return more;
  }

  /** The pictures have this size from now on, before they are turned.
   *  @param {number} width @param {number} height */
  size(width, height) {
    if (!this.video) return;
    if (this.engine instanceof Screen) turn(this.engine.element, this.video);
    this.handlers.onsize(sizeOf(this.video, width, height));
  }

  /** A picture was shown. @param {number} now ms */
  saw(now) {
    this.watch.picture(this.stats.fed, now);
    this.hadPicture = true;
    this.blocked = false;
    this.dropRetired();
  }

  /** The engine may take its time from now on. */
  expect() {
    this.watch.expect(this.stats.fed, performance.now());
    this.handlers.onexpect();
  }

  /** Where the relay is, and whether single pictures are asked for, may have changed. */
  ask() {
    const { single } = this;
    if (!single) return;
    single.setPlace(this.place);
    single.setWatched(this.handlers.asks());
  }

  /** Goes on after the page was away: some browsers have stopped it. */
  resume() {
    const { engine } = this;
    if (engine instanceof Screen) this.attempt(() => engine.resume(), true);
  }

  /** Everything that time changes. */
  look() {
    const { engine } = this;
    if (this.watched && engine instanceof Screen) this.attempt(() => engine.look(), true);
    if (engine instanceof Screen && this.video && engine.surface !== this.surfaceKind) {
      this.use("frames");
    }
    if (engine instanceof MseEngine && !this.inSight) this.attempt(() => engine.countFrames());
  }

  /** Has the engine failed without a word, or is it time for another one? @param {number} now ms */
  check(now) {
    const { engine, engines, video, watched } = this;
    if (this.single && watched && video && engines.hope(video.codec, now)) {
      return this.use(engines.best);
    }
    // Single pictures are better than none, but not than an engine that could not for a moment
    // only.
    if (!engine || (this.single && engines.isUnlucky)) {
      if (video && engines.forgive(!engine, now)) this.use(engines.best);
      if (!this.engine || this.engine !== engine) return;
    }
    const { fed, shown } = engine.stats;
    if (this.watch.isMute(fed, !watched || this.blocked, now)) {
      return this.fail("no picture came out of the frames that went in");
    }
    if (!(engine instanceof Screen)) return;
    if (this.watch.isDark(engine.lit || shown === 0 || !this.inSight, now)) {
      this.fail("the pictures do not reach the screen", true);
    }
  }

  close() {
    if (this.engine) this.engine.close();
    this.engine = null;
    this.dropRetired();
  }

  /** Makes an engine, and lets the Receiver know. @param {string | null} name */
  use(name) {
    this._retire();
    this.choice += 1;
    this.blocked = false;
    const { choice } = this;
    const elements = [...this.picture.children];
    try {
      if (name === "frames") {
        const screen = this._makeScreen(choice);
        this.engine = screen;
        const { order: surface, transfer } = screen;
        this.handlers.tell("engine", { choice, name, surface }, transfer);
      } else {
        if (name === "mse") this.engine = this._makeMse(choice);
        else if (name === "jpeg") this.engine = this._makeJpeg(choice);
        this.handlers.tell("engine", { choice, name: name || "none" });
      }
    } catch (error) {
      for (const element of [...this.picture.children]) {
        if (!elements.includes(element)) element.remove();
      }
      return this._setAside(String(name), String(error), name === "frames");
    }
    this.expect();
    this.handlers.onchange();
  }

  /** @param {number} choice @returns {Screen} */
  _makeScreen(choice) {
    return new Screen(this.surfaceKind, this.picture, {
      tell: (message) => this.handlers.tell("surface", { choice, ...message }),
      onglass: this._ofPresent(choice, this.handlers.onglass),
      onfail: this._ofPresent(choice, (/** @type {string} */ reason) => this.fail(reason, true)),
    });
  }

  /** @param {number} choice @returns {MseEngine} */
  _makeMse(choice) {
    return new MseEngine(this.picture, {
      onfail: this._ofPresent(choice, (/** @type {string} */ reason) => this.fail(reason)),
      onpicture: this._ofPresent(choice, (timestamp, width, height, moment) => {
        // Some tell when it is going to be seen: that is a promise.
        this.handlers.onglass(timestamp, Math.min(moment, performance.now()));
        this.size(width, height);
        this.handlers.onpicture();
      }),
      onblocked: this._ofPresent(choice, (blocked) => {
        this.blocked = blocked;
        this.handlers.onchange();
      }),
      send: this._ofPresent(choice, this.handlers.send),
    });
  }

  /** @param {number} choice @returns {JpegEngine} */
  _makeJpeg(choice) {
    return new JpegEngine(this.picture, this.name, this.handlers.asks(), this.place, {
      onfail: this._ofPresent(choice, (/** @type {string} */ reason) => this.fail(reason)),
      onarrival: this._ofPresent(choice, this.handlers.onarrival),
      onpicture: this._ofPresent(choice, (timestamp, width, height, moment) => {
        this.handlers.onglass(timestamp, moment);
        this.handlers.onsize({ width, height });
        this.handlers.onpicture();
      }),
      onblocked: () => {},
      send: () => {},
    });
  }

  /** @template {any[]} Facts
   *  @param {number} choice @param {(...facts: Facts) => void} action only while that is the engine
   *  @returns {(...facts: Facts) => void} */
  _ofPresent(choice, action) {
    return (...facts) => {
      if (choice === this.choice) action(...facts);
    };
  }

  /** Does something with the engine; where that breaks, whatever the error is, the next one's turn
   *  comes. @param {() => void} action @param {boolean} [ofSurface] the engine itself is well */
  attempt(action, ofSurface = false) {
    const { choice } = this;
    try {
      action();
    } catch (error) {
      if (choice === this.choice) this.fail(String(error), ofSurface);
    }
  }

  /** @param {string} reason @param {boolean} [ofSurface] the engine itself is well */
  fail(reason, ofSurface = false) {
    const { engine } = this;
    if (!engine) return;
    if (engine.stats.shown > 0) this.engines.worked();
    this._setAside(engine.name, reason, ofSurface);
  }

  /** Uses the next engine, or the same one with the next surface.
   *  @param {string} name @param {string} reason @param {boolean} ofSurface */
  _setAside(name, reason, ofSurface) {
    if (ofSurface && this.surfaces.length > 1 && this.surfaceKind === this.surfaces[0]) {
      this.surfaces.shift();
      this.use(name);
      return;
    }
    this.engines.fail(name, reason, performance.now());
    const next = this.engines.best;
    const plays = next && next !== "jpeg";
    // Perhaps the camera has another one.
    if (!plays && this.video) this.handlers.send({ type: "unplayable", codec: this.video.codec });
    this.use(next);
  }

  _retire() {
    if (!this.engine) return;
    const { engine } = this;
    this.engine = null;
    this.shownBefore += engine.stats.shown;
    this.shownEarlier = 0;
    const stays = !this.retired && engine.stats.shown > 0;
    if (stays) this.retired = engine;
    if (stays) this.handlers.onretire();
    end(() => (stays ? engine.retire() : engine.close()));
  }

  dropRetired() {
    const { retired } = this;
    if (!retired || this.handlers.holds(this.picture.firstElementChild)) return;
    this.retired = null;
    end(() => retired.close());
  }
}
