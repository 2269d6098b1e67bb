// The sound of a track as AudioData, as soon as the browser has it.
//
//   const samples = new Samples({
//     // captured: when its first sample was, ms of performance.now(). You close the data.
//     onsamples(data, captured) {},
//     onfailure(text) {},             // it is stopped then
//   });
//   if (Samples.able()) samples.start(track);
//   samples.stop();
//
// Chrome hands out a track's samples themselves (MediaStreamTrackProcessor); elsewhere an
// AudioWorklet collects them (audio-samples-worklet.js).

import { CaptureClock } from "./capture-clock.js";
import { version } from "../../shared/page/version.js";

/**
 * Pieces of 10 ms that may wait for this page, before the oldest is lost: a quarter of a second.
 */
const MOST_WAITING = 25;

/** Channels that a node of Web Audio has at most (W3C Web Audio 1.1, "AudioNode"). */
const MOST_CHANNELS = 32;

export class Samples {
  /** Whether this browser gives them at all. @returns {boolean} */
  static able() {
    return (
      typeof AudioData === "function" && (hasProcessor() || typeof AudioWorkletNode === "function")
    );
  }

  /**
   * @param {{onsamples: (data: AudioData, captured: number) => void, onfailure: (text: string) =>
   *   void}} handlers
   */
  constructor(handlers) {
    this.handlers = handlers;
    /** @type {ReadableStreamDefaultReader<AudioData> | null} */
    this.reader = null;
    /** @type {AudioContext | null} */
    this.context = null;
    this.clock = new CaptureClock();
  }

  /** @param {MediaStreamTrack} track a live one */
  start(track) {
    this.stop();
    this.clock = new CaptureClock();
    const going = hasProcessor() ? this._read(track) : this._listen(track);
    going.catch((error) => {
      this.stop();
      if (track.readyState === "live") this.handlers.onfailure(String(error));
    });
  }

  stop() {
    if (this.reader) this.reader.cancel().catch(() => undefined);
    this.reader = null;
    if (this.context) this.context.close().catch(() => undefined);
    this.context = null;
  }

  /** @param {MediaStreamTrack} track */
  async _read(track) {
    const processor = new /** @type {any} */ (window).MediaStreamTrackProcessor({
      track,
      maxBufferSize: MOST_WAITING,
    });
    const reader = processor.readable.getReader();
    this.reader = reader;
    for (;;) {
      const { done, value } = await reader.read();
      if (this.reader !== reader) {
        if (value) value.close();
        return;
      }
      if (done) throw new Error("the browser gives no more sound");
      this._give(value);
    }
  }

  /** @param {MediaStreamTrack} track */
  async _listen(track) {
    // The context's own rate: Firefox does not connect a microphone to a context of another one.
    const context = new AudioContext({ latencyHint: "interactive" });
    this.context = context;
    const loaded = context.audioWorklet.addModule("/web/camera/encode/audio-samples-worklet.js");
    loaded.catch(() => version.doubt());
    await loaded;
    if (this.context !== context) return;
    // mixing.js makes two of more.
    const channels = Math.min(
      MOST_CHANNELS,
      /** @type {any} */ (track.getSettings()).channelCount || 1,
    );
    const node = new AudioWorkletNode(context, "samples", {
      channelCount: channels,
      channelCountMode: "explicit",
    });
    node.port.onmessage = ({ data }) => {
      if (this.context !== context) return;
      const { frame, planes, length } = data;
      const { sampleRate } = context;
      const timestamp = Math.round((frame * 1e6) / sampleRate);
      const numberOfChannels = planes.length / length;
      this._give(
        new AudioData({
          format: "f32-planar",
          sampleRate,
          numberOfFrames: length,
          numberOfChannels,
          timestamp,
          data: planes,
        }),
      );
    };
    context.createMediaStreamSource(new MediaStream([track])).connect(node);
    node.connect(context.destination); // it stays silent; what leads nowhere may not run
    // A context may start suspended, and the system suspends it for a call; while a page has the
    // microphone it may run without a touch.
    const resume = () => {
      if (this.context === context && context.state !== "running" && context.state !== "closed")
        context.resume().catch(() => undefined);
    };
    context.onstatechange = resume;
    resume();
  }

  /** @param {AudioData} data */
  _give(data) {
    const length = (data.numberOfFrames * 1000) / data.sampleRate;
    this.handlers.onsamples(
      data,
      this.clock.place(data.timestamp / 1000 + length, performance.now()) - length,
    );
  }
}

function hasProcessor() {
  return typeof (/** @type {any} */ (window).MediaStreamTrackProcessor) === "function";
}
