// The sound of one camera: off until somebody taps for it, then played as soon as it comes.
// WebCodecs decodes it (sound-decoder.js), in the player's worker if that can, and an AudioWorklet
// plays it (jitter-buffer-worklet.js holds the jitter buffer); the samples go from one to the other
// without the page. Where a browser has not both, or not this codec, a LiveSource (live-source.js)
// of its own plays it in an <audio> element. While it is off nothing is decoded.
//
//   const sound = new Sound({
//     onchange() {},               // the state, or whether there is sound, has changed
//     send(message) {},            // a message for the relay
//     // have the worker make a SoundDecoder of these and give it the frames; (null): close it
//     decode(track, port) {},
//     page(wanted) {},             // whether frame messages are to come to `frame`
//   });
//   sound.decodeFailed(reason);          // the worker cannot, or its decoder gave up
//   await sound.track(track, init);      // a `track` message of kind audio, and its init segment
//   sound.frame(message, timestamp);     // its frame messages, while they are wanted
//   sound.setLoudness(0.5);              // 0..1, as it is felt
//   // inside a tap; where it is remembered from before, outside of one: it may be "blocked" then
//   sound.turnOn();
//   sound.look();                        // a few times a second
//   sound.clock(epochOffset);            // the relay's clock
//   sound.picture(delay);                // so late (ms) are the pictures on the screen
//   sound.stats;                         // see Stats

import { LiveSource } from "../engines/live-source.js";
import { playsType } from "../engines/media-buffer.js";
import { SoundDecoder } from "./sound-decoder.js";
import { TIME_ORIGIN } from "../../shared/time-origin.js";
import { version } from "../../shared/page/version.js";

/**
 * @typedef {"off" | "on" | "blocked"} SoundState  blocked: switched on, but the browser wants
 * another tap before it plays, or has stopped playing
 */

/**
 * Why nothing is heard although it plays: nothing comes, or only zeros do.
 * @typedef {"" | "nothing" | "zeros"} SoundTrouble
 */

/** @typedef {import("../../shared/types.js").TrackMessage} TrackMessage */

/**
 * level: RMS 0..1 over the last 100 ms, null where nobody can know it; underflows: how often it ran
 * dry; targetMs: what the buffer aims to hold when a packet has just come; delayMs: from the
 * microphone to the loudspeaker, null while unknown.
 * @typedef {{level: number | null, underflows: number, targetMs: number, delayMs: number | null}}
 *   Stats
 */

/**
 * What plays. setGain: 0..1, by which the samples are multiplied.
 * @typedef {{running: boolean, setGain: (gain: number) => void, frame: (message: ArrayBuffer,
 *             timestamp: number) => void, close: () => void, resume: () => void, stats: Stats}}
 *             Player
 */

/**
 * What a player asks of its Sound. now: the relay's time (s) at a moment (ms of performance.now()),
 * null while unknown; picture: delay of the pictures, s, null while unknown.
 * @typedef {{onfail: (reason: string) => void, onchange: () => void, decode: (track: TrackMessage |
 *             null, port?: MessagePort) => void, send: (message: object) => void, now: (moment:
 *             number) => number | null, picture: () => number | null, onheard: (heard: boolean,
 *             level: number | null) => void, onlost: () => void}} Owner
 * onheard: what it plays just now, if anything, and how loud that is (RMS 0..1, null where nobody
 * can know), a few times a second; onlost: the browser has ended what it plays with
 */

/**
 * The ways to play, best first: decoded in the worker, decoded in the page, by an element.
 * @typedef {"worker" | "page" | "element"} Way
 */

/**
 * AudioContext's latencyHint in seconds: as little as the loudspeaker can do. "interactive" waits
 * four times as long in Chrome (32 and 8 ms).
 */
const LEAST_LATENCY = 0;

/** The context runs at the rate of Opus; the browser converts for the loudspeaker. */
const CONTEXT_RATE = 48000;

/** Milliseconds that a context may take to start within a tap before it counts as blocked. */
const START_TIME = 1000;

/**
 * Seconds by which sound should be later than the picture, if it has to wait for it: nature never
 * has it the other way round. By how much the wait may be wrong before it is changed: together not
 * outside 0 to 40 ms. And the longest wait.
 */
const AFTER_PICTURE = 0.02;
const HOLD_TOLERANCE = 0.015;
const MOST_HOLD = 1;

/**
 * Part of each new value (ten a second) in the mean of the two clocks' distance, and of the
 * picture's delay; and the error (s) of the former that is no noise: the loudspeaker was changed,
 * or stood still.
 */
const MEAN_SHARE = 0.05;
const CLOCK_STEP = 0.05;

/**
 * Milliseconds by which the moment of an output timestamp may differ from now: in WebKitGTK 2.50 it
 * runs twice as fast as the clock.
 */
const RECENT = 50;

/**
 * A context that has run and was stopped (a call, another loudspeaker, a system that slept) is
 * asked to go on every so many ms.
 */
const RESUME_PAUSE = 2000;

/**
 * Looks (four a second) without a report of the audio thread, which sends ten a second, after which
 * the context only says that it runs.
 */
const MOST_UNHEARD_LOOKS = 20;

/** Milliseconds without anything to hear, or with nothing but zeros, after which that is said. */
const NOTHING_AFTER = 5000;
const ZEROS_AFTER = 10000;

/**
 * RMS below which there are only zeros: what decoders make of them is not always exactly 0. The
 * least noise that 16 bits can have is louder.
 */
const ZERO = 1e-6;

/** Seconds in which loudness follows the finger, because a step can be heard as a click. */
const FADE = 0.02;

const WORKLET = new URL("./jitter-buffer-worklet.js", import.meta.url).href;

/** One context for all cameras of the page, made in the first tap. @type {AudioContext | null} */
let context = null;

/** @type {Promise<void> | null} */
let workletReady = null;

/** @returns {AudioContext} */
function sharedContext() {
  if (!context || context.state === "closed") {
    context = new AudioContext({ latencyHint: LEAST_LATENCY, sampleRate: CONTEXT_RATE });
    workletReady = context.audioWorklet.addModule(WORKLET);
    workletReady.catch(() => version.doubt());
    keepRunning(context);
  }
  return context;
}

/**
 * Whatever stops a context: a tap anywhere starts it, and one that has run before is asked again
 * and again. It is a click, which comes after the button's own: a tap on that would else find the
 * sound on already, and switch it off.
 * @param {AudioContext} kept
 */
function keepRunning(kept) {
  let hasRun = false;
  let timer = 0;
  const resume = () => {
    if (kept.state !== "running" && kept.state !== "closed") kept.resume().catch(() => undefined);
  };
  document.addEventListener("click", resume);
  document.addEventListener("visibilitychange", resume);
  kept.addEventListener("statechange", () => {
    clearInterval(timer);
    if (kept.state === "running") hasRun = true;
    else if (kept.state === "closed") {
      document.removeEventListener("click", resume);
      document.removeEventListener("visibilitychange", resume);
    } else if (hasRun) timer = setInterval(resume, RESUME_PAUSE);
  });
}

/** A context that stands still is ended; whoever plays by it makes another one. */
function giveUpContext() {
  if (context && context.state !== "closed") context.close().catch(() => undefined);
}

/**
 * Which of the context's times leaves the loudspeaker when (Web Audio API,
 * AudioContext.getOutputTimestamp).
 * @param {AudioContext} context
 * @returns {{time: number, moment: number}} s of the context, ms of performance.now()
 */
function heardNow(context) {
  const now = performance.now();
  const { contextTime, performanceTime } = context.getOutputTimestamp
    ? context.getOutputTimestamp()
    : {};
  if (contextTime && performanceTime && Math.abs(performanceTime - now) < RECENT)
    return { time: contextTime, moment: performanceTime };
  const latency = context.outputLatency || context.baseLatency || 0;
  return { time: context.currentTime - latency, moment: now };
}

/**
 * Whether an element can be made less loud: on an iPhone only its buttons can.
 * @type {boolean | null}
 */
let obeys = null;

/** @returns {boolean} */
function elementsObey() {
  if (obeys !== null) return obeys;
  const audio = document.createElement("audio");
  audio.volume = 0.5;
  obeys = audio.volume === 0.5;
  return obeys;
}

/** WebCodecs and AudioWorklet. @implements {Player} */
class WorkletPlayer {
  /**
   * @param {TrackMessage} track
   * @param {boolean} inPage whether it decodes by itself
   * @param {Owner} owner
   */
  constructor(track, inPage, owner) {
    this.track = track;
    this.inPage = inPage;
    this.owner = owner;
    this.context = sharedContext();
    /** @type {Stats} */
    this.stats = { level: 0, underflows: 0, targetMs: 0, delayMs: null };
    this.closed = false;
    this.ready = false;
    this.decoding = false;
    this.gain = this.context.createGain();
    this.gain.connect(this.context.destination);
    /** @type {AudioWorkletNode | null} */
    this.node = null;
    /** @type {SoundDecoder | null} */
    this.decoder = null;
    /**
     * The relay's time minus the context's, of what leaves the loudspeaker; s.
     * @type {number | null}
     */
    this.distance = null;
    /** @type {number | null} */
    this.picture = null;
    this.hold = 0;
    /** @type {Promise<void>} */ (workletReady)
      .then(() => {
        this.ready = true;
        this.settle();
      })
      .catch((error) => this.fail(String(error)));
    this.onstatechange = () => {
      if (this.context.state === "closed") return owner.onlost();
      try {
        this.settle();
      } catch (error) {
        this.fail(String(error));
      }
      owner.onchange();
    };
    this.context.addEventListener("statechange", this.onstatechange);
    this.resume();
  }

  get running() {
    return this.context.state === "running";
  }

  /** @param {number} gain */
  setGain(gain) {
    this.gain.gain.setTargetAtTime(gain, this.context.currentTime, FADE);
  }

  resume() {
    this.context.resume().then(this.owner.onchange, this.owner.onchange);
  }

  /** Decodes while the context runs: what nobody takes would pile up. */
  settle() {
    if (this.closed || !this.ready || this.decoding === this.running) return;
    this.decoding = this.running;
    if (!this.decoding) {
      this.stopDecoding();
      return;
    }
    const node = this.node || this.connect();
    const { port1, port2 } = new MessageChannel();
    node.port.postMessage({ source: port1 }, [port1]);
    if (this.inPage)
      this.decoder = new SoundDecoder(this.track, port2, (reason) => this.fail(reason));
    else this.owner.decode(this.track, port2);
  }

  stopDecoding() {
    if (this.decoder) this.decoder.close();
    else if (!this.inPage) this.owner.decode(null);
    this.decoder = null;
  }

  /** @returns {AudioWorkletNode} */
  connect() {
    const node = new AudioWorkletNode(this.context, "live-sound", {
      numberOfInputs: 0,
      outputChannelCount: [2],
    });
    node.port.onmessage = (event) => this.onreport(event.data);
    node.onprocessorerror = () => this.fail("the sound processor broke");
    node.connect(this.gain);
    this.node = node;
    return node;
  }

  /** @param {ArrayBuffer} message */
  frame(message) {
    if (this.decoder) this.decoder.frame(message);
  }

  /**
   * @param {{level: number, underflows: number, target: number, offset: number, earliest: number,
   *   heard: boolean}} report in seconds
   */
  onreport({ level, underflows, target, offset, earliest, heard }) {
    const distance = this.measureDistance();
    const delayMs = distance === null || !heard ? null : Math.round((distance - offset) * 1000);
    this.owner.onheard(heard, level);
    this.stats = { level, underflows, targetMs: Math.round(target * 1000), delayMs };
    const picture = this.owner.picture();
    if (picture === null || this.picture === null) this.picture = picture;
    else this.picture += (picture - this.picture) * MEAN_SHARE;
    if (distance === null || !heard) return;
    // As early as the network permits, unless the picture is later: no picture can be made to come
    // sooner.
    const wish = this.picture === null ? 0 : this.picture + AFTER_PICTURE - (distance - earliest);
    const hold = Math.min(MOST_HOLD, Math.max(0, wish));
    if (hold === this.hold || (hold > 0 && Math.abs(hold - this.hold) < HOLD_TOLERANCE)) return;
    this.hold = hold;
    if (this.node) this.node.port.postMessage({ hold });
  }

  /** @returns {number | null} */
  measureDistance() {
    const { time, moment } = heardNow(this.context);
    const now = this.owner.now(moment);
    if (now === null) this.distance = null;
    else if (this.distance === null || Math.abs(now - time - this.distance) > CLOCK_STEP)
      this.distance = now - time;
    else this.distance += (now - time - this.distance) * MEAN_SHARE;
    return this.distance;
  }

  close() {
    if (this.closed) return;
    this.closed = true;
    this.context.removeEventListener("statechange", this.onstatechange);
    if (this.decoding) this.stopDecoding();
    this.gain.disconnect();
    if (!this.node) return;
    this.node.port.postMessage({ stop: true });
    this.node.port.onmessage = null;
    this.node.disconnect();
    this.node = null;
  }

  /** @param {string} reason */
  fail(reason) {
    if (this.closed) return;
    this.close();
    this.owner.onfail(reason);
  }
}

/** An <audio> element of its own. @implements {Player} */
class ElementPlayer {
  /** @param {TrackMessage} track @param {ArrayBuffer} init @param {Owner} owner */
  constructor(track, init, owner) {
    this.owner = owner;
    this.audio = document.createElement("audio");
    this.running = true;
    this.newest = -Infinity; // µs; a replay after `join` must not be heard twice
    this.live = new LiveSource(this.audio, "audio", {
      send: owner.send,
      onfail: owner.onfail,
      onblocked: (blocked) => {
        this.running = !blocked;
        owner.onchange();
      },
    });
    this.live.track(track.mime, init);
    this.resume();
  }

  get stats() {
    const now = this.owner.now(performance.now());
    const delayMs =
      now === null || this.audio.paused ? null : Math.round((now - this.audio.currentTime) * 1000);
    return {
      level: null,
      underflows: this.live.stats.stalls,
      targetMs: Math.round(this.live.edge.reserve * 1000),
      delayMs,
    };
  }

  /** @param {number} gain */
  setGain(gain) {
    this.audio.volume = gain;
  }

  resume() {
    this.live.autoplay.play();
  }

  /** @param {ArrayBuffer} message @param {number} timestamp µs */
  frame(message, timestamp) {
    if (timestamp <= this.newest) return;
    this.newest = timestamp;
    this.owner.onheard(true, null);
    this.live.frame(message);
  }

  close() {
    this.live.close();
  }
}

export class Sound {
  /**
   * @param {{onchange: () => void, send: (message: object) => void, decode: (track: TrackMessage |
   *          null, port?: MessagePort) => void, page: (wanted: boolean) => void}} handlers see the
   *          head of this file
   */
  constructor(handlers) {
    this.handlers = handlers;
    this.wanted = false;
    this.loudness = 1;
    /** @type {{message: TrackMessage, init: ArrayBuffer, ways: Way[]} | null} */
    this.current = null;
    /** @type {TrackMessage | null} */
    this.asked = null; // being looked at
    /** @type {WorkletPlayer | ElementPlayer | null} */
    this.player = null;
    this.startedAt = 0;
    this.startTimer = 0;
    /** @type {number | null} */
    this.epochOffset = null;
    /** @type {number | null} */
    this.pictureDelay = null; // ms
    this.paged = false; // frames come to the page
    this.heardAt = 0; // when there was last something to hear
    /** Since when there were only zeros. @type {number | null} */
    this.zerosSince = null;
    /** How loud it is, and the loudest since somebody asked. @type {number | null} */
    this.level = null;
    /** @type {number | null} */
    this.loudest = null;
    this.unheardLooks = 0; // without a report of the player
  }

  /** Whether the camera has sound that this browser can play. */
  get available() {
    return this.current !== null && this.current.ways.length > 0;
  }

  /** Whether it is this page that makes it louder or less loud. */
  get isAdjustable() {
    return (
      this.current !== null &&
      this.available &&
      (this.current.ways[0] !== "element" || elementsObey())
    );
  }

  /** @param {number} loudness 0..1, as it is felt */
  setLoudness(loudness) {
    this.loudness = loudness;
    if (this.player) this.player.setGain(loudness ** 2);
  }

  /** @returns {SoundState} */
  get state() {
    if (!this.wanted || (this.current && !this.available)) return "off";
    if (this.player && !this.player.running && performance.now() - this.startedAt > START_TIME)
      return "blocked";
    return "on";
  }

  /** Why nothing is heard although it plays. @returns {SoundTrouble} */
  get trouble() {
    if (this.state !== "on" || !this.player) return "";
    const now = performance.now();
    if (now - Math.max(this.heardAt, this.startedAt) > NOTHING_AFTER) return "nothing";
    return this.zerosSince !== null && now - this.zerosSince >= ZEROS_AFTER ? "zeros" : "";
  }

  /**
   * @returns {number | null} how loud the loudest moment since the last call was, RMS 0..1; null
   *   where nobody can know
   */
  takeLevel() {
    const { loudest } = this;
    this.loudest = this.level; // which counts again until there is a newer one
    return this.state === "on" ? loudest : null;
  }

  /** Nothing is expected to be heard just now. */
  excuse() {
    this.heardAt = performance.now();
    this.zerosSince = null;
  }

  /** Does the browser still play? */
  look() {
    if (this.state !== "on") this.excuse();
    if (!(this.player instanceof WorkletPlayer) || !this.player.decoding) return;
    this.unheardLooks += 1;
    if (this.unheardLooks <= MOST_UNHEARD_LOOKS) return;
    this.unheardLooks = 0;
    console.warn("sound: the context stands still, and is made anew");
    giveUpContext();
  }

  /** @param {boolean} heard @param {number | null} level */
  onheard(heard, level) {
    const now = performance.now();
    this.unheardLooks = 0;
    if (heard) this.heardAt = now;
    if (level === null) return;
    this.level = level;
    this.loudest = Math.max(this.loudest || 0, level);
    if (level > ZERO) this.zerosSince = null;
    else if (heard && this.zerosSince === null) this.zerosSince = now;
  }

  /** @returns {Stats & {state: SoundState}} */
  get stats() {
    const nothing = { level: 0, underflows: 0, targetMs: 0, delayMs: null };
    return { state: this.state, ...(this.player ? this.player.stats : nothing) };
  }

  /**
   * @param {number | null} epochOffset the relay's time in µs is (TIME_ORIGIN + performance.now())
   *   * 1000 + epochOffset
   */
  clock(epochOffset) {
    this.epochOffset = epochOffset;
  }

  /**
   * @param {number | null} delay ms from capture until now of the picture on the screen; null:
   *   there is none
   */
  picture(delay) {
    this.pictureDelay = delay;
  }

  /** @param {TrackMessage} message @param {ArrayBuffer} init */
  async track(message, init) {
    const same = this.current && JSON.stringify(this.current.message) === JSON.stringify(message);
    if (same) return;
    this.asked = message;
    /** @type {Way[]} */
    const ways = [];
    if (typeof AudioWorkletNode !== "undefined" && (await SoundDecoder.supports(message)))
      ways.push("worker", "page");
    if (this.asked !== message) return; // another track has come meanwhile
    if (playsType(message.mime)) ways.push("element");
    this.stop();
    this.current = { message, init, ways };
    if (this.wanted) this.start();
    this.handlers.onchange();
  }

  /** The track is gone. */
  end() {
    this.asked = null;
    this.stop();
    this.current = null;
    this.handlers.onchange();
  }

  /** The relay's clock may have begun anew. */
  restart() {
    this.epochOffset = null;
    this.end();
  }

  /** @param {ArrayBuffer} message @param {number} timestamp of the frame, µs */
  frame(message, timestamp) {
    if (!this.player || !this.paged) return;
    try {
      this.player.frame(message, timestamp);
    } catch (error) {
      this.fallBack(); // the browser promised too much
    }
  }

  /** @param {string} _reason the worker's decoder has given up */
  decodeFailed(_reason) {
    if (this.current && this.current.ways[0] === "worker") this.fallBack();
  }

  /** Call it inside a tap: only then may a page begin to sound. */
  turnOn() {
    this.wanted = true;
    if (this.player) this.player.resume();
    else this.start();
    this.handlers.onchange();
  }

  turnOff() {
    this.wanted = false;
    this.stop();
    this.handlers.onchange();
  }

  start() {
    if (!this.current || !this.available) return;
    const { message, init, ways } = this.current;
    const { onchange, send, decode } = this.handlers;
    const [way] = ways;
    this.startedAt = performance.now();
    clearTimeout(this.startTimer);
    this.startTimer = setTimeout(onchange, START_TIME + 1);
    /** @type {Owner} */
    const owner = {
      onfail: () => this.fallBack(),
      onchange,
      send,
      decode,
      now: (moment) =>
        this.epochOffset === null ? null : (TIME_ORIGIN + moment) / 1e3 + this.epochOffset / 1e6,
      picture: () => (this.pictureDelay === null ? null : this.pictureDelay / 1000),
      onheard: (heard, level) => this.onheard(heard, level),
      onlost: () => {
        this.stop();
        this.start();
        onchange();
      },
    };
    this.setPaged(way !== "worker");
    try {
      this.player =
        way === "element"
          ? new ElementPlayer(message, init, owner)
          : new WorkletPlayer(message, way === "page", owner);
      this.player.setGain(this.loudness ** 2);
    } catch (error) {
      this.fallBack(); // the browser promised too much
    }
  }

  /** The way that was tried does not lead there: the next one, if there is any. */
  fallBack() {
    this.stop();
    if (!this.current) return;
    this.current.ways.shift();
    if (this.wanted) this.start();
    this.handlers.onchange();
  }

  stop() {
    clearTimeout(this.startTimer);
    if (this.player) this.player.close();
    this.player = this.zerosSince = this.level = this.loudest = null;
    this.unheardLooks = 0;
    this.setPaged(false);
  }

  /** @param {boolean} wanted */
  setPaged(wanted) {
    if (wanted === this.paged) return;
    this.paged = wanted;
    this.handlers.page(wanted);
  }
}
