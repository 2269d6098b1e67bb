// One camera's tile: the link to the relay, the engine that shows its pictures, its sound, and a status that never lies.
//
// An engine turns a video track's messages into pictures. Each one keeps this contract:
//
//   static supports(track): Promise<boolean>   can this browser show this track with it?
//   constructor(view, handlers)                view: the HTMLElement it puts its canvas or video into; handlers: EngineHandlers
//   track(message, init)                       a track begins, begins anew, or is replayed: its next frame is a keyframe
//   frame(number, data)                        one frame message of that track
//   close()                                    frees everything and takes the picture away
//   name, stats                                see Engine
//
// It may be given every frame since the last keyframe at once and then shows the newest only. If it cannot go on it calls onfail, once,
// and waits to be closed; the tile then builds the other engine, and `join` makes the relay replay what the new one needs.
//
// For tests and benches a tile's element carries read-only facts, at most four times a second: data-camera, data-state, data-engine,
// data-frames (pictures shown), data-sound (off, on, blocked); and element.tile is the Tile, whose stats() tells the rest.

import { FramesEngine } from "./frames.js";
import { Link } from "./link.js";
import { readFrame } from "./message.js";
import { MseEngine } from "./mse.js";
import { Sound } from "./sound.js";

/** The relay's `track` message.
 *  @typedef {{type: "track", number: number, kind: "video" | "audio", codec: string, mime: string, config?: string,
 *             width?: number, height?: number, sampleRate?: number, channels?: number}} TrackMessage */

/** onpicture: a picture was shown, of this time (µs of the relay's clock) and size; onblocked: the browser wants a tap before it plays;
 *  send: a wish for the relay (docs/protocol.md, "Player to relay").
 *  @typedef {{onfail: (reason: string) => void, onpicture: (timestamp: number, width: number, height: number) => void,
 *             onblocked: (blocked: boolean) => void, send: (message: object) => void}} EngineHandlers */

/** received: frame messages; fed: those given to the browser's decoder; shown: pictures; dropped: frames left out, and pictures left out
 *  because a newer one was about to come; bufferedAhead: s; stalls: how often it ran dry.
 *  @typedef {{received: number, fed: number, shown: number, dropped: number, bufferedAhead: number, stalls: number}} EngineStats */

/** @typedef {{name: string, stats: EngineStats, track: (message: TrackMessage, init: ArrayBuffer) => void,
 *             frame: (number: number, data: ArrayBuffer) => void, close: () => void}} Engine */

/** @typedef {"connecting" | "waiting" | "live" | "frozen" | "paused" | "gone" | "failed"} TileState
 *  connecting: the relay or the first picture is still to come; frozen: live, but no picture arrives; failed: this page cannot show it. */

/** The engines by name, best first. */
const ENGINES = { frames: FramesEngine, mse: MseEngine };

/** Milliseconds between two looks at everything that time changes. */
const TICK = 250;

/** Live, but no picture for so long (ms): say so. */
const FROZEN_AFTER = 3000;

/** Frames go in and no picture comes out for so long (ms): the other engine's turn. A busy computer may need some seconds to decode all since
 *  the last keyframe, which is up to 8 s old in Firefox. */
const MUTE_ENGINE_AFTER = 8000;

/** Milliseconds between two frames within which they count as one after the other. */
const FEEDING = 1000;

/** Frames and bytes that wait while the browser is asked which engine it can run. */
const PENDING_LIMIT = 1000;
const PENDING_BYTES_LIMIT = 16 * 1024 * 1024;

/** After both engines have failed they get another chance with another kind of track, or after so long (ms). */
const FORGIVE_AFTER = 60000;

const WORDS = {
  connecting: "Connecting",
  waiting: "Waiting",
  live: "Live",
  frozen: "Frozen",
  paused: "Paused",
  gone: "Gone",
  failed: "Cannot show",
};

/** What stands over the picture beside the word above: short, because a tile may be small. @type {Record<string, string>} */
const PAUSED_BECAUSE = {
  viewers: "Its viewers asked for a pause.",
  camera: "Paused at the camera.",
  background: "The camera’s page is in the background.",
  interrupted: "Another app or a call has taken the lens.",
};

/** @type {Record<string, string>} */
const GONE_BECAUSE = {
  left: "Switched off",
  lost: "Connection lost",
  media: "It sent no video",
};

/** @param {string} symbol of the sprite in player.html @returns {SVGSVGElement} */
function icon(symbol) {
  const svg = document.createElementNS("http://www.w3.org/2000/svg", "svg");
  svg.setAttribute("aria-hidden", "true");
  const use = document.createElementNS("http://www.w3.org/2000/svg", "use");
  use.setAttribute("href", `#${symbol}`);
  svg.append(use);
  return svg;
}

/** @param {SVGSVGElement} svg @param {string} symbol */
function setIcon(svg, symbol) {
  const use = svg.firstElementChild;
  if (use && use.getAttribute("href") !== `#${symbol}`) use.setAttribute("href", `#${symbol}`);
}

/** @param {string} tag @param {string} className @param {Node[]} children @returns {any} */
function part(tag, className, ...children) {
  const element = document.createElement(tag);
  element.className = className;
  element.append(...children);
  return element;
}

/** @param {Element} element @param {string} text changed only when it differs, so that nothing is announced twice */
function setText(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

/** @param {number} moment ms since the epoch @returns {string} time of day, with the day when it was not today */
function clockTime(moment) {
  const date = new Date(moment);
  const time = date.toLocaleTimeString([], { hour: "2-digit", minute: "2-digit" });
  return date.toDateString() === new Date().toDateString() ? `at ${time}` : `on ${date.toLocaleDateString()} at ${time}`;
}

export class Tile {
  /**
   * @param {string} name of the camera
   * @param {{engine: string | null, ontap: () => void, onback: () => void, onaspect: () => void, announce: (text: string) => void}} wall
   *        engine: "frames" or "mse" to force one; ontap: the picture was tapped; onback: the way out of the large view was;
   *        onaspect: the shape of the picture has changed; announce: a sentence for a screen reader
   */
  constructor(name, wall) {
    this.name = name;
    this.wall = wall;
    /** Width over height of the picture. */
    this.aspect = 4 / 3;
    /** @type {TileState} */
    this.state = "connecting";
    /** @type {TileState | ""} */
    this.announcedState = "";
    /** What the relay last said. @type {{state: string, reason: string} | null} */
    this.camera = null;
    this.goneAt = 0; // ms since the epoch; 0: not known
    /** @type {import("./link.js").LinkState} */
    this.linkState = "closed";
    /** @type {{id: string, text: string} | null} */
    this.refusal = null;
    /** The `track` message whose init segment comes next. @type {TrackMessage | null} */
    this.announced = null;
    /** @type {{message: TrackMessage, init: ArrayBuffer} | null} */
    this.video = null;
    /** @type {Engine | null} */
    this.engine = null;
    /** Shows the last picture until the new engine has one. @type {Engine | null} */
    this.retired = null;
    /** Frames that wait for the choice of an engine; null when none is being chosen. @type {ArrayBuffer[] | null} */
    this.pending = null;
    this.pendingBytes = 0;
    this.choice = 0;
    /** Engines that have failed for this track, and why. @type {Map<string, string>} */
    this.failures = new Map();
    this.failedAt = 0;
    this.watched = true;
    this.onScreen = true;
    /** Frames are taken only after the `track` that answers a `join`. */
    this.joined = true;
    this.blocked = false;
    this.received = 0;
    this.shownBefore = 0; // by engines that are closed
    this.pictureAt = 0; // performance.now() of the last picture of this connection
    /** Frames the engine has taken, when that last grew, how many by the last picture, and since when it takes without giving. */
    this.fed = 0;
    this.fedAt = 0;
    this.fedAtPicture = 0;
    this.mouthfulAt = 0;
    this.hadPicture = false;
    this.build();
    this.sound = new Sound({ onchange: () => this.refresh(), send: (message) => this.link.send(message) });
    this.link = new Link(`/player/${name}`, {
      onstate: (state, detail) => this.onlink(state, detail),
      onmessage: (message) => this.onmessage(message),
      onbinary: (data) => this.onbinary(data),
    });
    this.onvisibility = () => this.setWatched();
    document.addEventListener("visibilitychange", this.onvisibility);
    this.observer = new IntersectionObserver((entries) => {
      this.onScreen = entries[entries.length - 1].isIntersecting;
      this.setWatched();
    });
    this.observer.observe(this.element);
    this.timer = setInterval(() => this.refresh(), TICK);
    this.link.open();
    this.refresh();
  }

  /** Everything a bench wants to know. @returns {object} */
  stats() {
    const engine = this.engine;
    const { shown, dropped, bufferedAhead, stalls } = engine ? engine.stats : { shown: 0, dropped: 0, bufferedAhead: 0, stalls: 0 };
    return {
      engine: engine ? engine.name : "",
      shown: this.shownBefore + shown,
      dropped,
      received: this.received,
      bufferedAhead,
      stalls,
      sound: this.sound.stats,
    };
  }

  /** @param {boolean} large whether this tile fills the window @param {boolean} alone whether there is a wall to go back to */
  setLarge(large, alone) {
    this.element.classList.toggle("large", large);
    this.back.hidden = !large || alone;
    this.fullscreen.hidden = !large || !(document.fullscreenEnabled || /** @type {any} */ (document).webkitFullscreenEnabled);
    this.view.setAttribute("aria-label", alone ? this.name : large ? `${this.name}: back to all cameras` : `${this.name}: show large`);
    if (!large && this.isFullscreen()) this.toggleFullscreen();
  }

  close() {
    clearInterval(this.timer);
    document.removeEventListener("visibilitychange", this.onvisibility);
    this.observer.disconnect();
    this.link.close();
    this.sound.turnOff();
    this.dropEngine();
    this.dropRetired();
    this.element.remove();
  }

  // --- the relay ---

  /** @param {import("./link.js").LinkState} state @param {{id: string, text: string} | null} detail */
  onlink(state, detail) {
    this.linkState = state;
    this.refusal = detail;
    if (state !== "open") {
      this.announced = null;
      this.camera = null;
    }
    this.refresh();
  }

  /** @param {any} message */
  onmessage(message) {
    if (message.type === "welcome") this.onwelcome();
    else if (message.type === "state") this.onstate(message.state, message.reason || "");
    else if (message.type === "track") this.announced = message;
    else if (message.type === "track-end") this.ontrackend(message.number);
  }

  onwelcome() {
    // The relay may be another one, with another clock: everything begins anew, behind the last picture.
    this.announced = null;
    this.joined = true;
    this.video = null;
    this.choice += 1;
    this.pending = null;
    this.retireEngine();
    this.sound.restart();
  }

  /** @param {string} state @param {string} reason */
  onstate(state, reason) {
    const first = this.camera === null;
    this.camera = { state, reason };
    if (state === "live") this.pictureAt = performance.now();
    if (state === "gone") {
      this.goneAt = first ? 0 : Date.now();
      if (first) this.askSince();
    }
    this.refresh();
  }

  /** This page came after the camera had gone: the relay knows since when. */
  async askSince() {
    try {
      const cameras = await (await fetch("/api/cameras")).json();
      const found = cameras.find((/** @type {{name: string}} */ camera) => camera.name === this.name);
      const stillGone = this.camera !== null && this.camera.state === "gone";
      if (found && typeof found.age === "number" && stillGone) this.goneAt = Date.now() - found.age * 1000;
    } catch (error) {
      this.goneAt = 0; // then the tile says nothing about it
    }
    this.refresh();
  }

  /** @param {number} number */
  ontrackend(number) {
    if (this.video && number === this.video.message.number) {
      this.video = null;
      this.choice += 1;
      this.pending = null;
      this.retireEngine();
    } else {
      this.sound.end();
    }
  }

  /** @param {ArrayBuffer} data */
  onbinary(data) {
    if (this.announced) {
      const message = this.announced;
      this.announced = null;
      if (message.kind === "audio") this.sound.track(message, data);
      else this.ontrack(message, data);
      return;
    }
    let frame;
    try {
      frame = readFrame(data);
    } catch (error) {
      this.onfail(String(error));
      return;
    }
    if (this.video && frame.number === this.video.message.number) this.onframe(data);
    else this.sound.frame(data, frame.timestamp);
  }

  /** @param {TrackMessage} message @param {ArrayBuffer} init */
  ontrack(message, init) {
    const same = this.video !== null && this.video.message.mime === message.mime;
    this.video = { message, init };
    this.joined = true;
    if (message.width && message.height && !this.hadPicture) this.setAspect(message.width, message.height);
    if (!same) this.failures.clear();
    this.chooseEngine();
  }

  /** @param {ArrayBuffer} data */
  onframe(data) {
    this.received += 1;
    if (!this.watched || !this.joined) return;
    if (this.pending) {
      this.pending.push(data);
      this.pendingBytes += data.byteLength;
      if (this.pending.length > PENDING_LIMIT || this.pendingBytes > PENDING_BYTES_LIMIT) this.pending = null; // `join` will fetch them
    } else if (this.engine && this.video) {
      this.engine.frame(this.video.message.number, data);
    }
  }

  // --- the engine ---

  async chooseEngine() {
    this.choice += 1;
    const choice = this.choice;
    const video = this.video;
    if (!video) return;
    this.pending = [];
    this.pendingBytes = 0;
    const found = await this.findEngine(video.message);
    if (choice !== this.choice) return; // another track has come meanwhile
    const pending = this.pending;
    this.pending = null;
    if (!found) {
      this.retireEngine();
      this.refresh();
      return;
    }
    if (!this.engine || this.engine.name !== found) {
      this.retireEngine();
      this.engine = this.makeEngine(found);
    }
    this.engine.track(video.message, video.init);
    this.expectPicture();
    if (!pending) return this.join();
    for (const data of pending) if (this.engine) this.engine.frame(video.message.number, data);
  }

  /** @param {TrackMessage} message @returns {Promise<keyof typeof ENGINES | null>} the best one that works here and has not failed */
  async findEngine(message) {
    for (const name of /** @type {(keyof typeof ENGINES)[]} */ (Object.keys(ENGINES))) {
      if (this.wall.engine && name !== this.wall.engine) continue;
      if (this.failures.has(name)) continue;
      if (await ENGINES[name].supports(message)) return name;
      this.failures.set(name, `this browser does not play ${message.codec}`);
    }
    return null;
  }

  /** @param {keyof typeof ENGINES} name @returns {Engine} */
  makeEngine(name) {
    /** @type {Engine} */
    const engine = new ENGINES[name](this.picture, {
      onfail: (reason) => {
        if (engine === this.engine) this.onfail(reason);
      },
      onpicture: (_timestamp, width, height) => {
        if (engine === this.engine) this.onpicture(width, height);
      },
      onblocked: (blocked) => {
        this.blocked = blocked;
        this.refresh();
      },
      send: (message) => this.link.send(message),
    });
    return engine;
  }

  /** @param {string} reason */
  onfail(reason) {
    const { engine } = this;
    if (!engine) return;
    this.failures.set(engine.name, reason);
    this.failedAt = performance.now();
    this.retireEngine();
    this.join();
    this.refresh();
  }

  /** @param {number} width @param {number} height */
  onpicture(width, height) {
    this.pictureAt = performance.now();
    if (this.engine) this.fedAtPicture = this.engine.stats.fed;
    this.hadPicture = true;
    this.blocked = false;
    this.dropRetired();
    this.setAspect(width, height);
    if (this.state !== "live") this.refresh();
  }

  /** The engine may take its time from now on. */
  expectPicture() {
    this.pictureAt = performance.now();
    this.fed = this.fedAtPicture = this.engine ? this.engine.stats.fed : 0;
    this.mouthfulAt = this.pictureAt;
  }

  /** Asks the relay for the tracks and all frames since the last keyframe. */
  join() {
    this.joined = false;
    this.link.send({ type: "join" });
  }

  retireEngine() {
    if (!this.engine) return;
    const { engine } = this;
    this.shownBefore += engine.stats.shown;
    this.engine = null;
    if (this.retired || engine.stats.shown === 0) engine.close();
    else this.retired = engine;
  }

  dropEngine() {
    if (this.engine) this.engine.close();
    this.engine = null;
  }

  dropRetired() {
    if (this.retired) this.retired.close();
    this.retired = null;
  }

  setWatched() {
    const watched = this.onScreen && document.visibilityState === "visible";
    if (watched === this.watched) return;
    this.watched = watched;
    if (!watched) return;
    this.expectPicture();
    if (this.linkState === "open" && this.video) this.join();
    this.refresh();
  }

  // --- what people see ---

  build() {
    this.picture = part("span", "picture");
    this.view = part("button", "view", this.picture);
    this.view.type = "button";
    this.view.addEventListener("click", () => this.wall.ontap());
    this.label = part("span", "name");
    this.label.textContent = this.name;
    this.status = part("span", "status");
    this.notice = part("p", "notice");
    this.soundIcon = icon("icon-silent");
    this.soundButton = this.tool(this.soundIcon, () => this.toggleSound());
    this.fullscreenIcon = icon("icon-fill");
    this.fullscreen = this.tool(this.fullscreenIcon, () => this.toggleFullscreen());
    this.fullscreen.setAttribute("aria-label", "Full screen");
    this.back = this.tool(icon("icon-back"), () => this.wall.onback());
    this.back.setAttribute("aria-label", "Back to all cameras");
    this.back.classList.add("back");
    this.tools = part("div", "tools", this.soundButton, this.fullscreen);
    this.caption = part("div", "caption", part("div", "words", this.label, this.status), this.tools);
    this.element = part("section", "tile", this.view, this.notice, this.back, this.caption);
    this.element.setAttribute("aria-label", `Camera ${this.name}`);
    this.element.dataset.camera = this.name;
    /** @type {any} */ (this.element).tile = this;
    this.setLarge(false, false);
  }

  /** @param {SVGSVGElement} symbol @param {() => void} action @returns {HTMLButtonElement} */
  tool(symbol, action) {
    const button = part("button", "tool", symbol);
    button.type = "button";
    button.addEventListener("click", action);
    return button;
  }

  toggleSound() {
    if (this.sound.state === "on") this.sound.turnOff();
    else this.sound.turnOn();
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

  /** @param {number} width @param {number} height */
  setAspect(width, height) {
    const aspect = width / height;
    if (!(aspect > 0) || Math.abs(aspect - this.aspect) < 0.01) return;
    this.aspect = aspect;
    this.wall.onaspect();
  }

  /** Says what is: called at every change and by the clock. */
  refresh() {
    this.checkEngine();
    const [state, sentence] = this.judge();
    const { dataset } = this.element;
    if (state !== this.state || !dataset.state) {
      this.state = state;
      dataset.state = this.status.dataset.state = state;
      this.status.textContent = WORDS[state];
      if (state !== this.announcedState && state !== "connecting") {
        this.announcedState = state;
        this.wall.announce(`${this.name}: ${WORDS[state]}. ${sentence}`);
      }
    }
    setText(this.notice, sentence);
    this.notice.hidden = sentence === "";
    this.refreshSound();
    const engine = this.engine;
    dataset.engine = engine ? engine.name : "";
    dataset.frames = String(this.shownBefore + (engine ? engine.stats.shown : 0));
    setIcon(this.fullscreenIcon, this.isFullscreen() ? "icon-shrink" : "icon-fill");
  }

  refreshSound() {
    const { state, available } = this.sound;
    this.element.dataset.sound = state;
    this.soundButton.hidden = !available;
    this.soundButton.setAttribute("aria-pressed", String(state !== "off"));
    const words = { off: "Sound", on: "Sound", blocked: "Sound: tap once more" };
    this.soundButton.setAttribute("aria-label", `${words[state]} of ${this.name}`);
    setIcon(this.soundIcon, { off: "icon-silent", on: "icon-sound", blocked: "icon-blocked" }[state]);
  }

  /** An engine that eats frames and shows nothing has failed, whatever it says. */
  checkEngine() {
    const now = performance.now();
    const { engine } = this;
    if (!engine) {
      if (this.video && this.failedAt > 0 && now - this.failedAt > FORGIVE_AFTER) {
        this.failedAt = now;
        this.failures.clear();
        this.join();
      }
      return;
    }
    const { fed } = engine.stats;
    if (fed !== this.fed) {
      this.fed = fed;
      this.fedAt = now;
    }
    if (fed === this.fedAtPicture || now - this.fedAt > FEEDING || !this.watched || this.blocked) this.mouthfulAt = now;
    if (now - this.mouthfulAt > MUTE_ENGINE_AFTER) this.onfail("no picture came out of the frames that went in");
  }

  /** @returns {[TileState, string]} and the sentence that belongs over the picture, "" for none */
  judge() {
    if (this.linkState === "closed" && this.refusal) return ["failed", this.refusal.text];
    if (this.linkState === "waiting") return ["connecting", "No connection. Trying again…"];
    if (this.linkState !== "open" || !this.camera) return ["connecting", "Connecting…"];
    const { state, reason } = this.camera;
    if (state === "waiting") return ["waiting", "Not there yet."];
    if (state === "paused") return ["paused", PAUSED_BECAUSE[reason] || "Paused."];
    if (state === "gone") return ["gone", `${GONE_BECAUSE[reason] || "Gone"}${this.goneAt ? ` ${clockTime(this.goneAt)}` : ""}.`];
    if (this.video && this.hasFailed()) return ["failed", this.failureSentence()];
    if (this.blocked) return ["connecting", "Tap the picture to start it."];
    const silence = performance.now() - this.pictureAt;
    if (this.watched && silence > FROZEN_AFTER) return ["frozen", `No picture for ${Math.floor(silence / 1000)} s.`];
    if (this.engine && this.engine.stats.shown > 0) return ["live", ""];
    return ["connecting", this.hadPicture ? "" : "Waiting for the first picture…"];
  }

  hasFailed() {
    return Object.keys(ENGINES).every((name) => this.failures.has(name) || (this.wall.engine && name !== this.wall.engine));
  }

  failureSentence() {
    const reasons = [...new Set(this.failures.values())].join("; ");
    return `This browser cannot show this camera (${reasons}). Try another browser or another camera.`;
  }
}
