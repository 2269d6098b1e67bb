// One camera's tile: its pictures, its sound, how old they are, and a status that never lies. What
// comes from the relay is received and decoded by a Receiver in a worker (receiver-port.js,
// receiver.js); the tile joins that with the engines that show pictures (engine-runner.js), what it
// says (verdict.js) and what a person sees and touches (tile-view.js).
//
// Long, because it joins a dozen parts that must not know one another; what each does stands there.
//
// For tests and benches a tile's element carries read-only facts, at most four times a second:
// data-camera, data-state, data-engine, data-frames (pictures shown), data-sound (off, on,
// blocked), data-silence (why there is no sound: see SoundControl), data-why (of a frozen one: see
// verdict.js), data-reason (of one that is gone: left, closed, lost, media), data-slow (frames are
// left out for this viewer); data-floating (its picture is in a window of its own, see
// picture-in-picture.js); and element.tile is the Tile, whose stats() tells the rest.

import { BEGINNING, isStranded, judge } from "./verdict.js";
import { forgetLabel, hearLabel } from "./called.js";
import { timeOf } from "../../shared/page/clock-time.js";
import { Departure } from "./departure.js";
import { Details } from "./delay-details.js";
import { EngineRunner } from "../pictures/engine-runner.js";
import { icon } from "../../shared/page/elements.js";
import { Feed } from "../receive/receiver-port.js";
import { device } from "./load.js";
import { More } from "./more.js";
import { PictureDelay } from "./picture-delay.js";
import { PictureInPicture } from "./picture-in-picture.js";
import { playable } from "../pictures/plays.js";
import { relay } from "../../shared/relay/absence.js";
import { Sound } from "../sound/sound.js";
import { SoundControl } from "./sound-control.js";
import { fileName, hand, stillOf } from "./still.js";
import { TileView } from "./tile-view.js";
import { TIME_ORIGIN } from "../../shared/time-origin.js";
import { TurnPad } from "./pan-tilt-pad.js";
import { version } from "../../shared/page/version.js";

/** @typedef {import("./verdict.js").TileState} TileState */
/** @typedef {import("../../shared/relay/relay-link.js").LinkState} LinkState */
/** @typedef {import("../../shared/relay/relay-link.js").Transport} Transport */
/** @typedef {import("../../shared/relay/relay-link.js").Place} Place */

/** Milliseconds between two looks at everything that time changes. */
const TICK = 250;

/** Frames were left out for this viewer within so many ms: say so. */
const SLOW_FOR = 5000;

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

/** Instead of "Connecting", where that is not a matter of a moment. */
const OFFLINE = "Offline";

/** Long, because it joins a dozen parts that must not know one another. */
export class Tile {
  /**
   * @param {string} name of the camera
   * @param {{engine: string | null, surface: import("../engines/surface.js").SurfaceKind | null,
   *          sounds: boolean, loudness: number, ontap: () => void, onback: () => void, onaspect: ()
   *          => void, onsound: (on: boolean) => void, onloudness: (loudness: number) => void,
   *          onmove: (by: number) => void, onrefused: (why: string) => void, ongone: (gone:
   *          import("./departure.js").Gone | null) => void, onputaway: () => void, announce: (text:
   *          string) => void}} wall
   *        engine: to force one of ENGINES; surface: to force one; sounds: the sound is on from the
   *        start; onsound: a person has switched it; loudness: 0..1, and onloudness: a person has
   *        chosen it; onmove: this tile is to go so many places back or on;
   *        ontap: the picture was tapped; onback: the way out of the large view was; onaspect: the
   *        shape of the picture has changed; onrefused: the relay wants another key than this page
   *        has, and why; ongone, onputaway: see Departure; announce: a sentence for a screen
   *        reader, "" takes the last one back
   */
  constructor(name, wall) {
    this.name = name;
    this.wall = wall;
    /** Width and height of the picture. */
    this.size = { width: 0, height: 0 };
    /** Width over height of the picture. */
    this.aspect = 4 / 3;
    /** @type {TileState} */
    this.state = "connecting";
    /** @type {TileState | ""} */
    this.announcedState = "";
    /** What the relay last said. @type {import("./verdict.js").CameraWord | null} */
    this.camera = null;
    /**
     * What the list of the wall says, null where there is no such list.
     * @type {import("./departure.js").Word | null}
     */
    this.listed = null;
    /** @type {LinkState} */
    this.linkState = "closed";
    /** @type {Transport} */
    this.transport = "socket";
    /** @type {{id: string, text: string} | null} */
    this.refusal = null;
    this.wasOpen = false; // there was a connection before
    this.watched = true;
    this.onScreen = true;
    /** The tile itself can be seen. */
    this.inSight = true;
    /** Its place among so many of the wall's. */
    this.rank = { place: 0, places: 1 };
    this.received = 0;
    this.pictureDelay = new PictureDelay();
    this.openedAt = 0; // ms since the epoch, of the socket
    /** See verdict.js. */
    this.times = {
      heardAt: -Infinity,
      pongAt: -Infinity,
      filmedAt: -Infinity,
      receivedAt: -Infinity,
      pictureAt: 0,
      slowFrom: -Infinity,
    };
    // Of performance.now(): when a track began, and when frames were left out last.
    this.begunAt = this.slowAt = -Infinity;
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
    this.pad = new TurnPad(name, { icon, send: (wish) => this.feed.send(wish) });
    this.details = new Details(name);
    const departure = { onchange: () => this.ongone(), onputaway: () => this.wall.onputaway() };
    this.departure = new Departure(name, departure, icon("icon-away"));
    this.more = this.makeMore();
    this.view = new TileView(name, this, {
      ontap: () => wall.ontap(),
      onback: () => wall.onback(),
      onrefused: () => this.refresh(),
    });
    /** @type {any} */ (this.view.element).tile = this;
    this.floating = PictureInPicture.able() ? this.makeFloating() : null;
    this.runner = this.makeRunner();
    const plays = playable(wall.engine);
    plays.then((families) => (this.runner.engines.plays = families));
    this.feed = new Feed(name, plays, this.feedHandlers());
    if (wall.sounds) this.sound.turnOn();
    this.onvisibility = () => this.setWatched();
    document.addEventListener("visibilitychange", this.onvisibility);
    this.observer = new IntersectionObserver((entries) => {
      this.onScreen = entries[entries.length - 1].isIntersecting;
      this.setWatched();
    });
    this.observer.observe(this.element);
    this.measure = new ResizeObserver((entries) => {
      const { width, height } = entries[entries.length - 1].contentRect;
      this.view.setPictureSize(width, height);
    });
    this.measure.observe(this.view.picture);
    this.timer = setInterval(() => this.look(), TICK);
    this.setWatched();
    this.refresh();
  }

  makeMore() {
    return new More({
      onsave: () => this.save(),
      onfloat: () => this.toggleFloating(),
      onloudness: (loudness, done) => {
        this.sound.setLoudness(loudness);
        if (done) this.wall.onloudness(loudness);
      },
      onmove: (by) => this.wall.onmove(by),
      onopen: () => {
        if (this.floating) this.floating.prepare();
        this.refreshMore();
      },
      onclose: () => this.floating && this.floating.release(),
    });
  }

  makeRunner() {
    const { floating, times } = this;
    return new EngineRunner(this.name, this.view.picture, this.wall, {
      tell: (type, more, transfer) => this.feed.tell(type, more, transfer),
      send: (message) => this.feed.send(message),
      asks: () => this.asks,
      floats: () => this.floats,
      holds: (element) => floating !== null && floating.holds(element),
      onglass: (timestamp, moment) => this.pictureDelay.glass(timestamp, moment),
      onarrival: (timestamp) => {
        const now = performance.now();
        times.heardAt = times.receivedAt = now;
        this.pictureDelay.arrive(this.pictureDelay.ageAt(timestamp, now), null, now);
      },
      onsize: (size) => this.setSize(size),
      onpicture: () => this.onpicture(),
      onexpect: () => (times.pictureAt = performance.now()),
      onretire: () => floating && floating.look(),
      onchange: () => this.refresh(),
    });
  }

  /** What comes from the Receiver (receiver.js); of an earlier engine it counts no more. */
  feedHandlers() {
    const { runner, sound, pictureDelay } = this;
    /** @param {(message: any) => void} action @returns {(message: any) => void} */
    const ofPresent = (action) => (message) => message.choice === runner.choice && action(message);
    return {
      onready: (/** @type {any} */ abilities) => runner.ready(abilities),
      link: (/** @type {any} */ message) => this.onlink(message),
      clock: (/** @type {any} */ message) => this.onclock(message),
      control: (/** @type {any} */ { message }) => this.oncontrol(message),
      track: ofPresent((message) => {
        this.begunAt = performance.now();
        const onerror = (/** @type {any} */ error) => {
          if (message.choice === runner.choice) runner.fail(String(error));
        };
        runner.track(message).catch(onerror);
      }),
      frame: (/** @type {any} */ message) => this.onframe(message),
      size: ofPresent(({ width, height }) => runner.size(width, height)),
      stats: ofPresent(({ stats }) => this.onstats(stats)),
      glass: ofPresent(({ timestamp, moment }) =>
        pictureDelay.glass(timestamp, moment - TIME_ORIGIN),
      ),
      fail: ofPresent(({ surface, reason }) => runner.fail(reason, surface)),
      surface: (/** @type {any} */ message) => this.onsurface(message),
      "sound-track": (/** @type {any} */ { message, init }) => sound.track(message, init),
      "sound-end": () => sound.end(),
      "sound-frame": (/** @type {any} */ { data, timestamp }) => sound.frame(data, timestamp),
      "sound-fail": (/** @type {any} */ { reason }) => sound.decodeFailed(reason),
    };
  }

  get element() {
    return this.view.element;
  }

  /** The way out of the large view. */
  get back() {
    return this.view.back;
  }

  /** What people call the camera, for a sentence. */
  get called() {
    return this.view.called;
  }

  /** Its picture is in a window of its own. */
  get floats() {
    return this.floating !== null && this.floating.floats;
  }

  /** Where the relay is, null at this page's own origin. */
  get place() {
    return this.runner.place;
  }

  /**
   * Single pictures are asked for where somebody looks, and where it is known that the relay is
   * there and takes this page's key.
   */
  get asks() {
    return this.watched && this.linkState === "open" && !this.departure.gone;
  }

  get isHungUp() {
    return this.listed !== null && this.listed.state === "gone";
  }

  /** @returns {import("./delay-details.js").TileStats} */
  stats() {
    const { runner, pictureDelay } = this;
    const { engine, single } = runner;
    const { fed, dropped, bufferedAhead, stalls } = runner.stats;
    const now = performance.now();
    const whole = engine !== null && runner.surface === "";
    return {
      engine: engine ? engine.name : "",
      surface: runner.surface,
      fed,
      shown: runner.shownCount,
      dropped,
      received: single ? single.stats.received : this.received,
      bufferedAhead,
      stalls,
      opened: this.openedAt,
      delay: pictureDelay.delayAt(now),
      pace: pictureDelay.pace,
      parts: pictureDelay.partsAt(whole, now),
      drops: pictureDelay.way.drops || 0,
      size: this.size,
      sound: this.sound.stats,
      transport: this.transport,
    };
  }

  /**
   * Its place on the wall, from 0 on, and how many there are; 1 where tiles are not moved.
   * @param {number} place
   * @param {number} places
   */
  setRank(place, places) {
    if (this.rank.place === place && this.rank.places === places) return;
    this.rank = { place, places };
    this.refreshMore();
  }

  /**
   * @param {boolean} large whether this tile fills the window
   * @param {boolean} alone whether there is a wall to go back to
   */
  setLarge(large, alone) {
    this.view.setLarge(large, alone);
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
    this.runner.close();
    this.element.remove();
  }

  // --- the relay ---

  /** @param {{state: LinkState, refusal: {id: string, text: string} | null, transport: Transport,
   *          place: Place | null, moved: boolean | null}} link */
  onlink({ state, refusal, transport, place, moved }) {
    this.linkState = state;
    this.transport = transport;
    // One try without an answer takes nothing back.
    if (refusal || state === "open" || state === "closed") this.refusal = refusal;
    this.runner.place = place;
    relay.linked(state, refusal, moved);
    this.runner.ask();
    if (state === "open") {
      this.wasOpen = true;
      this.times.heardAt = performance.now();
    } else {
      this.camera = null;
      this.pad.update({}); // a camera that turns is told of again
    }
    this.refresh();
    if (state === "closed" && refusal) this.wall.onrefused(refusal.text);
  }

  /** @param {{offset: number | null, opened: number, way: any}} clock */
  onclock({ offset, opened, way }) {
    this.openedAt = opened;
    if (way) this.onpong(way);
    this.pictureDelay.clock(offset, way);
    this.sound.clock(offset);
    // A hidden page's own clock may go once a minute only.
    if (!this.inSight && this.watched) this.look();
  }

  /** @param {import("./picture-delay.js").Pong} way */
  onpong(way) {
    const now = performance.now();
    const { times } = this;
    const left = (way.drops || 0) - (this.pictureDelay.way.drops || 0);
    // Those of a beginning, up to the first keyframe, are none.
    if (left > 0 && now - this.begunAt > BEGINNING) {
      times.slowFrom = times.pongAt;
      this.slowAt = now;
    }
    times.heardAt = times.pongAt = now;
    relay.heard();
    if (way.idle !== undefined) times.filmedAt = now - way.idle / 1000;
  }

  /**
   * Begins, and ends what needs a connection of its own while the camera is gone: of its return the
   * list tells.
   * @param {import("./departure.js").Word | null} word of the wall's list; null where this camera
   *   is alone on its page
   */
  hear(word) {
    this.listed = word;
    if (word) hearLabel(this.name, word.label || "");
    if (this.isHungUp) this.feed.hangUp();
    else this.feed.open();
    if (word) this.departure.hear(word);
  }

  /** The camera is gone, gone otherwise, or back. */
  ongone() {
    const { gone } = this.departure;
    if (gone) {
      this.runner.endTrack();
      this.sound.end();
      // It is no longer what was said last.
      if (this.announcedState !== "gone") this.wall.announce("");
    }
    this.runner.ask();
    this.refresh();
    this.view.keepFocus();
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
    // The page came from there.
    if (message.type === "welcome" && !this.place) version.hear(message.version);
    if (message.type === "welcome") this.onwelcome();
    else if (message.type === "state")
      this.onstate(
        message.state,
        message.reason || "",
        message.keyless === true,
        message.sound || "",
        message.since,
      );
    else if (message.type === "track-end") this.runner.endTrack();
    else if (message.type === "turns") this.pad.update(message);
    else if (message.type === "refused") this.pad.refuse(message.text);
  }

  /**
   * The relay may be another one, with another clock: everything begins anew, behind the last
   * picture.
   */
  onwelcome() {
    this.runner.endTrack();
    this.sound.restart();
  }

  /**
   * @param {string} state
   * @param {string} reason
   * @param {boolean} keyless pictures come, but none to begin with
   * @param {string} microphone what the camera says of it
   * @param {number} [since] ms since the epoch, by the relay's clock: when it went
   */
  onstate(state, reason, keyless, microphone, since) {
    const went = this.camera ? this.camera.state : "";
    this.camera = { state, reason, keyless, microphone };
    if (state === "live" && !(keyless && went === "live")) this.times.pictureAt = performance.now();
    // A relay that has come back and knows nothing of a camera that was here: where there is a
    // list, that tells.
    const { hadPicture } = this.runner;
    const lost =
      state === "waiting" && !keyless && went === "" && hadPicture && this.listed === null;
    if (lost && !this.departure.gone) this.departure.hear({ state: "gone", reason: "lost" });
    else this.departure.hear({ state, reason, keyless, since });
    this.refresh();
  }

  // --- the pictures ---

  /** @param {{choice: number, data: ArrayBuffer}} message */
  onframe({ choice, data }) {
    if (choice === this.runner.choice) this.runner.frame(data);
    if (this.floating) this.floating.paint();
  }

  /**
   * @param {{choice: number, picture?: VideoFrame, track?: MediaStreamTrack}} message from the
   *   Receiver's end of the surface
   */
  onsurface(message) {
    this.runner.receive(message);
    if (message.picture && this.floating) this.floating.paint();
  }

  /** @param {import("../receive/looks.js").Look} look */
  onstats({ received, fed, shown, dropped, arrival, decode }) {
    if (this.runner.single) return; // it has its own
    const now = performance.now();
    if (received !== this.received) this.times.heardAt = this.times.receivedAt = now;
    this.received = received;
    this.pictureDelay.arrive(arrival, decode, now);
    if (!this.runner.count({ received, fed, shown, dropped })) return;
    // No picture of it is looked at here.
    if (!this.inSight && arrival !== null) this.pictureDelay.unseen(arrival);
    this.onpicture();
  }

  onpicture() {
    const now = performance.now();
    this.times.pictureAt = now;
    this.runner.saw(now);
    if (this.floating) this.floating.paint();
    if (this.state !== "live") this.refresh();
  }

  /** @param {{width: number, height: number}} size of the picture as it is seen */
  setSize({ width, height }) {
    this.size = { width, height };
    const aspect = width / height;
    if (!(aspect > 0) || Math.abs(aspect - this.aspect) < 0.01) return;
    this.aspect = aspect;
    this.wall.onaspect();
  }

  setWatched() {
    this.inSight = this.runner.inSight = this.onScreen && document.visibilityState === "visible";
    const watched = this.inSight || this.floats;
    if (this.inSight) this.runner.resume();
    if (watched === this.watched) return;
    this.watched = this.runner.watched = watched;
    this.feed.tell("watched", { watched });
    this.runner.ask();
    if (!watched) return;
    this.runner.expect();
    this.times.heardAt = this.begunAt = this.times.pictureAt; // nobody has listened meanwhile
    this.refresh();
  }

  // --- what people see ---

  /** Everything that time changes. */
  look() {
    const delay = this.pictureDelay.look(performance.now());
    if (delay !== undefined) this.sound.picture(delay);
    this.runner.look();
    this.sound.look();
    this.refresh();
    this.details.update(this.stats(), this.state === "live");
    this.view.keepFocus();
  }

  /** Says what is: called at every change and by the clock. */
  refresh() {
    const now = performance.now();
    const { runner, view } = this;
    view.showCalled();
    runner.check(now);
    const [state, sentence, why = ""] = judge(this.facts, now);
    const { dataset } = this.element;
    const changed = state !== this.state || !dataset.state;
    dataset.why = why;
    dataset.reason = state === "gone" && this.departure.gone ? this.departure.gone.reason : "";
    this.state = state;
    view.showState(state, this.wordFor(state), sentence);
    if (changed) this.announceState(state, sentence);
    this.refreshSound(now);
    view.showSlow(state === "live" && now - this.slowAt <= SLOW_FOR, this.isBusy);
    dataset.engine = runner.engine ? runner.engine.name : "";
    dataset.frames = String(runner.shownCount);
    dataset.floating = String(this.floats);
    view.showFullscreen();
    this.refreshMore();
    if (this.floating) this.floating.look();
  }

  /** @param {TileState} state @returns {string} */
  wordFor(state) {
    if (state === "gone" && this.departure.calm) return OFF;
    const stranded = isStranded({ link: this.linkState, refusal: this.refusal });
    return state === "connecting" && stranded ? OFFLINE : WORDS[state];
  }

  /** @param {TileState} state a new one @param {string} sentence */
  announceState(state, sentence) {
    // Nobody waits for it.
    const asleep = !this.watched && this.camera !== null && this.camera.reason === "unwatched";
    // It may be for a moment; see announceGone.
    const later = state === "connecting" || state === "gone";
    if (state === this.announcedState || later || asleep) return;
    this.announcedState = state;
    this.wall.announce(`${this.called}: ${WORDS[state]}. ${sentence}`);
  }

  /** This device does not keep up, so what is missing here may have come. */
  get isBusy() {
    return device.isBusy || this.pictureDelay.waitsForDevice(performance.now());
  }

  /** @returns {import("./verdict.js").Facts} */
  get facts() {
    const { runner, pictureDelay } = this;
    return {
      link: this.linkState,
      refusal: this.refusal,
      wasOpen: this.wasOpen,
      departure: this.departure.words,
      listed: this.listed !== null,
      camera: this.camera,
      hasTrack: runner.video !== null,
      failure: runner.engines.sentence,
      blocked: runner.blocked,
      engineRefusal: runner.single ? runner.single.refusal : "",
      shows: runner.shows,
      hadPicture: runner.hadPicture,
      watched: this.watched,
      pace: pictureDelay.pace,
      filmed: pictureDelay.filmed,
      ...this.view.room,
      deviceBusy: device.isBusy,
      busy: this.isBusy,
      times: this.times,
    };
  }

  /** @param {number} now ms */
  refreshSound(now) {
    const { camera, soundControl } = this;
    const { level } = this.pictureDelay.way;
    soundControl.refresh({
      microphone: camera ? camera.microphone : "",
      level: level === undefined ? null : level,
      live: this.linkState === "open" && camera !== null && camera.state === "live",
      drawn: this.watched,
      now,
    });
    this.element.dataset.sound = this.sound.state;
    this.element.dataset.silence = soundControl.trouble;
  }

  refreshMore() {
    const { floating, sound } = this;
    const picture = this.runner.shown !== null;
    this.more.refresh({
      name: this.called,
      picture,
      floats: floating && picture,
      floating: this.floats,
      loudness: sound.isAdjustable ? sound.loudness : null,
      ...this.rank,
    });
  }

  // --- what a person does with the picture ---

  async save() {
    const { state } = this;
    const { shown } = this.runner;
    const { shownTime } = this.pictureDelay;
    if (!shown) return;
    try {
      hand(await stillOf(shown, shownTime), fileName(this.name, shownTime));
      this.tell(
        `Saved the ${state === "live" ? "picture" : "last picture, which is"} of ${timeOf(shownTime)}.`,
      );
    } catch (error) {
      this.tell("This browser could not save the picture.");
    }
  }

  makeFloating() {
    const floating = new PictureInPicture(this.view.picture, {
      shown: () => this.runner.shown,
      video: () => this.runner.ownVideo,
      live: () => this.state === "live",
      words: () => [this.called, this.view.notice.textContent || WORDS[this.state]],
      onchange: () => {
        this.setWatched();
        this.refresh();
      },
    });
    this.element.append(floating.own);
    return floating;
  }

  async toggleFloating() {
    const { floating } = this;
    if (!floating || !this.runner.shown) return;
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
}
