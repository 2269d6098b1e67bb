// The sound of one camera: off until somebody taps for it, then played as soon as it comes.
// WebCodecs decodes it and an AudioWorklet plays it (sound-worklet.js holds the jitter buffer). Where a browser has not both, or not this
// codec, a LiveSource (live-source.js) of its own plays it in an <audio> element. While it is off nothing is decoded.
//
//   const sound = new Sound({onchange() {}, send(message) {}});
//   await sound.track(track, init);      // a `track` message of kind audio, and its init segment
//   sound.frame(message);                // its frame messages
//   sound.turnOn();                      // inside a tap
//   sound.stats;                         // {state, level, underflows, targetMs}

import { bytesOfBase64, readFrame } from "./message.js";
import { LiveSource, playsType } from "./live-source.js";

/** @typedef {"off" | "on" | "blocked"} SoundState  blocked: switched on, but the browser wants another tap before it plays */

/** @typedef {import("./tile.js").TrackMessage} TrackMessage */

/** What plays. level: RMS 0..1 over the last 100 ms, null where nobody can know it.
 *  @typedef {{frame: (message: ArrayBuffer) => void, close: () => void, resume: () => void,
 *             stats: {level: number | null, underflows: number, targetMs: number}}} Player */

/** The context runs at the rate of Opus; the browser converts for the loudspeaker. */
const CONTEXT_RATE = 48000;

/** Milliseconds that a context may take to start within a tap before it counts as blocked. */
const START_TIME = 1000;

const WORKLET = new URL("./sound-worklet.js", import.meta.url).href;

/** One context for all cameras of the page, made in the first tap. @type {AudioContext | null} */
let context = null;

/** @type {Promise<void> | null} */
let workletReady = null;

/** @returns {AudioContext} */
function sharedContext() {
  if (!context) {
    context = new AudioContext({ latencyHint: "interactive", sampleRate: CONTEXT_RATE });
    workletReady = context.audioWorklet.addModule(WORKLET);
  }
  return context;
}

/** @param {TrackMessage} track @returns {AudioDecoderConfig} */
function decoderConfig(track) {
  /** @type {AudioDecoderConfig} */
  const config = { codec: track.codec, sampleRate: track.sampleRate || CONTEXT_RATE, numberOfChannels: track.channels || 1 };
  if (track.config) config.description = bytesOfBase64(track.config);
  return config;
}

/** @param {TrackMessage} track @returns {Promise<boolean>} */
async function decodes(track) {
  if (typeof AudioDecoder === "undefined" || typeof AudioWorkletNode === "undefined") return false;
  try {
    return (await AudioDecoder.isConfigSupported(decoderConfig(track))).supported === true;
  } catch (error) {
    return false;
  }
}

/**
 * The samples of one channel, -1..1.
 * WebKitGTK 2.50 crashes when it is asked for the format that it has, so floats are fetched as 16-bit integers, which is finer than any
 * phone's microphone. Browsers that cannot convert so (the standard asks for "f32-planar" only) give floats.
 * @param {AudioData} samples @param {number} planeIndex @returns {Float32Array}
 */
function plane(samples, planeIndex) {
  const floats = new Float32Array(samples.numberOfFrames);
  if (samples.format && samples.format.startsWith("f32")) {
    const integers = new Int16Array(samples.numberOfFrames);
    try {
      samples.copyTo(integers, { planeIndex, format: "s16-planar" });
      for (let index = 0; index < integers.length; index += 1) floats[index] = integers[index] / 32768;
      return floats;
    } catch (error) {
      if (/** @type {DOMException} */ (error).name !== "NotSupportedError") throw error;
    }
  }
  samples.copyTo(floats, { planeIndex, format: "f32-planar" });
  return floats;
}

/** WebCodecs and AudioWorklet. @implements {Player} */
class WorkletPlayer {
  /** @param {TrackMessage} track @param {(reason: string) => void} onfail @param {() => void} onchange */
  constructor(track, onfail, onchange) {
    this.onfail = onfail;
    this.onchange = onchange;
    this.context = sharedContext();
    this.stats = { level: 0, underflows: 0, targetMs: 0 };
    this.closed = false;
    /** @type {AudioWorkletNode | null} */
    this.node = null;
    this.shape = ""; // rate and channels of what the node expects
    this.decoder = new AudioDecoder({ output: (samples) => this.play(samples), error: (error) => this.fail(error.message) });
    this.decoder.configure(decoderConfig(track));
    this.ready = false;
    /** @type {Promise<void>} */ (workletReady).then(
      () => {
        this.ready = true;
      },
      (error) => this.fail(String(error)),
    );
    this.onstatechange = () => onchange();
    this.context.addEventListener("statechange", this.onstatechange);
    this.resume();
  }

  get running() {
    return this.context.state === "running";
  }

  resume() {
    this.context.resume().then(this.onchange, this.onchange);
  }

  /** @param {ArrayBuffer} message */
  frame(message) {
    if (this.closed || !this.ready || !this.running) return;
    try {
      const { timestamp, data } = readFrame(message);
      this.decoder.decode(new EncodedAudioChunk({ type: "key", timestamp, data }));
    } catch (error) {
      this.fail(String(error));
    }
  }

  /** @param {AudioData} samples */
  play(samples) {
    const { numberOfChannels: channels, sampleRate } = samples;
    const planes = [];
    try {
      for (let channel = 0; channel < Math.min(2, channels); channel += 1) planes.push(plane(samples, channel));
    } catch (error) {
      this.fail(String(error));
      return;
    } finally {
      samples.close();
    }
    if (this.closed) return;
    const shape = `${sampleRate} ${planes.length}`;
    if (shape !== this.shape) {
      this.shape = shape;
      this.connect(sampleRate, planes.length);
    }
    /** @type {AudioWorkletNode} */ (this.node).port.postMessage({ planes }, planes.map((samplesOfOne) => samplesOfOne.buffer));
  }

  /** @param {number} sampleRate Hz @param {number} channels 1 or 2 */
  connect(sampleRate, channels) {
    this.disconnect();
    this.node = new AudioWorkletNode(this.context, "live-sound", {
      numberOfInputs: 0,
      outputChannelCount: [2],
      processorOptions: { sampleRate, channels },
    });
    this.node.port.onmessage = (event) => {
      this.stats = event.data;
    };
    this.node.onprocessorerror = () => this.fail("the sound processor broke");
    this.node.connect(this.context.destination);
  }

  disconnect() {
    if (!this.node) return;
    this.node.port.postMessage({ stop: true });
    this.node.port.onmessage = null;
    this.node.disconnect();
    this.node = null;
  }

  close() {
    this.closed = true;
    this.context.removeEventListener("statechange", this.onstatechange);
    if (this.decoder.state !== "closed") this.decoder.close();
    this.disconnect();
  }

  /** @param {string} reason */
  fail(reason) {
    if (this.closed) return;
    this.close();
    this.onfail(reason);
  }
}

/** An <audio> element of its own. @implements {Player} */
class ElementPlayer {
  /** @param {TrackMessage} track @param {ArrayBuffer} init @param {(message: object) => void} send
   *  @param {(reason: string) => void} onfail @param {() => void} onchange */
  constructor(track, init, send, onfail, onchange) {
    this.audio = document.createElement("audio");
    this.running = true;
    this.live = new LiveSource(this.audio, "audio", {
      send,
      onfail,
      onblocked: (blocked) => {
        this.running = !blocked;
        onchange();
      },
    });
    this.live.track(track.mime, init);
    this.resume();
  }

  get stats() {
    return { level: null, underflows: this.live.stats.stalls, targetMs: Math.round(this.live.edge.reserve * 1000) };
  }

  resume() {
    this.live.play();
  }

  /** @param {ArrayBuffer} message */
  frame(message) {
    this.live.frame(message);
  }

  close() {
    this.live.close();
  }
}

export class Sound {
  /**
   * @param {{onchange: () => void, send: (message: object) => void}} handlers
   *        onchange: the state, or whether there is sound, has changed; send: a message for the relay
   */
  constructor(handlers) {
    this.handlers = handlers;
    this.wanted = false;
    this.failed = false;
    /** @type {{message: TrackMessage, init: ArrayBuffer, decodes: boolean} | null} */
    this.current = null;
    /** @type {TrackMessage | null} */
    this.asked = null; // being looked at
    /** @type {WorkletPlayer | ElementPlayer | null} */
    this.player = null;
    this.newest = -Infinity; // µs; a replay after `join` must not be heard twice
    this.startedAt = 0;
    this.startTimer = 0;
  }

  /** Whether the camera has sound that this browser can play. */
  get available() {
    return this.current !== null && !this.failed;
  }

  /** @returns {SoundState} */
  get state() {
    if (!this.wanted || this.failed) return "off";
    if (this.player && !this.player.running && performance.now() - this.startedAt > START_TIME) return "blocked";
    return "on";
  }

  get stats() {
    const { level, underflows, targetMs } = this.player ? this.player.stats : { level: 0, underflows: 0, targetMs: 0 };
    return { state: this.state, level, underflows, targetMs };
  }

  /** @param {TrackMessage} message @param {ArrayBuffer} init */
  async track(message, init) {
    const same = this.current && JSON.stringify(this.current.message) === JSON.stringify(message);
    if (same) return;
    this.asked = message;
    const known = await decodes(message);
    if (this.asked !== message) return; // another track has come meanwhile
    this.current = { message, init, decodes: known };
    this.failed = !known && !playsType(message.mime);
    this.stop();
    if (this.wanted) this.start();
    this.handlers.onchange();
  }

  /** The track is gone. */
  end() {
    this.restart();
    this.handlers.onchange();
  }

  /** The relay's clock may have begun anew. */
  restart() {
    this.newest = -Infinity;
    this.asked = null;
    this.stop();
    this.current = null;
  }

  /** @param {ArrayBuffer} message @param {number} timestamp of the frame, µs */
  frame(message, timestamp) {
    if (timestamp <= this.newest) return;
    this.newest = timestamp;
    if (this.player) this.player.frame(message);
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
    if (!this.current) return;
    const { message, init } = this.current;
    const { onchange, send } = this.handlers;
    this.startedAt = performance.now();
    clearTimeout(this.startTimer);
    this.startTimer = setTimeout(onchange, START_TIME + 1);
    if (this.current.decodes) {
      try {
        this.player = new WorkletPlayer(message, () => this.fallBack(), onchange);
        return;
      } catch (error) {
        this.current.decodes = false; // the browser promised too much
      }
    }
    this.player = new ElementPlayer(message, init, send, () => this.giveUp(), onchange);
  }

  fallBack() {
    this.player = null;
    if (!this.current) return;
    this.current.decodes = false;
    if (!playsType(this.current.message.mime)) return this.giveUp();
    this.start();
    this.handlers.onchange();
  }

  giveUp() {
    this.player = null;
    this.failed = true;
    this.handlers.onchange();
  }

  stop() {
    clearTimeout(this.startTimer);
    if (this.player) this.player.close();
    this.player = null;
  }
}
