// One camera's sound, from packets to samples: in the player's worker, so that a busy page does not
// interrupt it, or in the page.
//
//   // `track` message; where the samples go; called when it cannot go on
//   const decoder = new SoundDecoder(track, port, (reason) => {});
//   // audio frame messages (docs/protocol.md)
//   decoder.frame(message);
//   decoder.close();
//
// Posts to the port: {planes: Float32Array[], sampleRate, timestamp}   a plane per channel, two at
// most; µs of the first sample. The port leads straight into the audio thread
// (jitter-buffer-worklet.js): no page lies between.

import { bytesOfBase64, readFrame } from "../../shared/frames/frame-message.js";

/** @typedef {import("../../shared/types.js").TrackMessage} TrackMessage */

/** Hz, where the track does not say: the rate of Opus. */
const USUAL_RATE = 48000;

/**
 * Packets, and milliseconds since the first, after which a decoder that has given nothing never
 * will: WebKit's for AAC holds everything back until it is flushed.
 */
const MUTE_PACKETS = 20;
const MUTE_TIME = 2000;

/**
 * Packets that may wait for the decoder: a second of 20 ms ones. A browser that is behind by more
 * leaves some out.
 */
const MOST_WAITING = 50;

/** Packets that may be inside it: what holds back more is of no use for live sound. */
const MOST_INSIDE = 250;

/** @param {TrackMessage} track @returns {AudioDecoderConfig} */
function decoderConfig(track) {
  /** @type {AudioDecoderConfig} */
  const config = {
    codec: track.codec,
    sampleRate: track.sampleRate || USUAL_RATE,
    numberOfChannels: track.channels || 1,
  };
  if (track.config) config.description = bytesOfBase64(track.config);
  return config;
}

/**
 * The samples of one channel, -1..1. WebKitGTK 2.50 crashes when it is asked for the format that it
 * has, so floats are fetched as 16-bit integers, which is finer than any phone's microphone.
 * Browsers that cannot convert so (the standard asks for "f32-planar" only) give floats.
 * @param {AudioData} samples
 * @param {number} planeIndex
 * @returns {Float32Array}
 */
function plane(samples, planeIndex) {
  const floats = new Float32Array(samples.numberOfFrames);
  if (samples.format && samples.format.startsWith("f32")) {
    const integers = new Int16Array(samples.numberOfFrames);
    try {
      samples.copyTo(integers, { planeIndex, format: "s16-planar" });
      for (let index = 0; index < integers.length; index += 1)
        floats[index] = integers[index] / 32768;
      return floats;
    } catch (error) {
      if (/** @type {DOMException} */ (error).name !== "NotSupportedError") throw error;
    }
  }
  samples.copyTo(floats, { planeIndex, format: "f32-planar" });
  return floats;
}

export class SoundDecoder {
  /**
   * @param {TrackMessage} track
   * @returns {Promise<boolean>} whether this browser decodes it; it may still fail later
   */
  static async supports(track) {
    if (typeof AudioDecoder === "undefined") return false;
    try {
      return (await AudioDecoder.isConfigSupported(decoderConfig(track))).supported === true;
    } catch (error) {
      return false;
    }
  }

  /**
   * @param {TrackMessage} track of kind audio
   * @param {MessagePort} port it is closed together with the decoder
   * @param {(reason: string) => void} onfail it cannot go on, and is closed; never called from
   *   inside the constructor
   */
  constructor(track, port, onfail) {
    this.port = port;
    this.onfail = onfail;
    this.closed = false;
    this.newest = -Infinity; // µs; a replay after `join` must not be heard twice
    /** Timestamps of the packets that went in and have not come out. @type {number[]} */
    this.inside = [];
    this.fed = 0;
    this.fedAt = 0; // ms, the first
    this.given = 0;
    /** @type {AudioDecoder | null} */
    this.decoder = null;
    try {
      this.decoder = new AudioDecoder({
        output: (samples) => this.give(samples),
        error: (error) => this.fail(error.message),
      });
      this.decoder.configure(decoderConfig(track));
    } catch (error) {
      Promise.resolve().then(() => this.fail(String(error)));
    }
  }

  /** @param {ArrayBuffer} message */
  frame(message) {
    const { decoder } = this;
    if (this.closed || !decoder) return;
    try {
      const { timestamp, data } = readFrame(message);
      if (timestamp <= this.newest) return;
      this.newest = timestamp;
      if (decoder.decodeQueueSize >= MOST_WAITING) return;
      if (this.fed === 0) this.fedAt = performance.now();
      this.fed += 1;
      this.inside.push(timestamp);
      decoder.decode(new EncodedAudioChunk({ type: "key", timestamp, data }));
    } catch (error) {
      this.fail(String(error));
      return;
    }
    const isMute =
      this.given === 0 && this.fed > MUTE_PACKETS && performance.now() - this.fedAt > MUTE_TIME;
    if (isMute || this.inside.length > MOST_INSIDE) this.fail("the decoder gives no samples");
  }

  close() {
    if (this.closed) return;
    this.closed = true;
    if (this.decoder && this.decoder.state !== "closed") this.decoder.close();
    this.port.close();
  }

  /** @param {AudioData} samples */
  give(samples) {
    const { numberOfChannels, sampleRate } = samples;
    const planes = [];
    try {
      for (let channel = 0; channel < Math.min(2, numberOfChannels); channel += 1)
        planes.push(plane(samples, channel));
    } catch (error) {
      this.fail(String(error));
      return;
    } finally {
      samples.close();
    }
    if (this.closed) return;
    this.given += 1;
    // Every packet comes out as one piece, in order, however many the decoder holds back. Its own
    // timestamps are of no use: Chromium counts samples from the first packet on, and knows of no
    // gap.
    const timestamp = this.inside.shift();
    this.port.postMessage(
      { planes, sampleRate, timestamp },
      planes.map((floats) => floats.buffer),
    );
  }

  /** @param {string} reason */
  fail(reason) {
    if (this.closed) return;
    this.close();
    this.onfail(reason);
  }
}
