// The MediaSource engine: for browsers without WebCodecs, or pages without TLS. A media element wants a little data ahead of the clock;
// LiveSource keeps that little as small as this browser allows, and finds out how much that is by trying.
// LiveSource also plays the sound where WebCodecs cannot (sound.js): one element and one track each, never both in one element,
// because Chrome collects 200 ms of sound before it starts an element that has any.

import { readFrame } from "./message.js";

/** What a LiveSource keeps ahead of the clock, in seconds: to begin with, at most, and what a stall adds to it. @typedef {
 *  {start: number, most: number, step: number}} Reserve */

/** @type {Reserve} 80 ms is what Chrome's low-delay mode plays without stalls at 30 frames a second. */
export const VIDEO_RESERVE = { start: 0.08, most: 0.4, step: 0.03 };

/** @type {Reserve} Chrome's audio renderer holds 200 ms back by itself. */
export const AUDIO_RESERVE = { start: 0.25, most: 0.8, step: 0.05 };

/** Milliseconds: stalls this near to one another are one; one this soon after the last adds twice as much, so that a browser that needs
 *  300 ms gets there in a moment. */
const STALL_SAME = 300;
const STALL_AGAIN = 3000;

/** The reserve shrinks by so much (seconds a second) after a time without stalls (seconds), doubled each time that was a mistake. */
const DECAY = 0.005;
const FIRST_PATIENCE = 20;
const LONGEST_PATIENCE = 600;

/** playbackRate: how far from 1, how much per second of error, smallest step, error (s) left alone, pause between changes (ms). */
const SLOWEST = 0.95;
const FASTEST = 1.1;
const GAIN = 0.5;
const RATE_STEP = 0.01;
const TOLERANCE = 0.02;
const RATE_INTERVAL = 250;

/** Weight of the newest measurement in the smoothed distance from the live edge. */
const SMOOTHING = 0.2;

/** Stalls this soon (ms) after a change of rate, with so much (s) at hand, are blamed on it: WebKit rebuffers then. After three, the rate
 *  stays 1. */
const RATE_BLAME = 400;
const AT_HAND = 0.1;
const RATE_BLAMES = 3;

/** A changed rate that has not taken this part of the error away after so long (ms) does nothing in this browser: the rate stays 1. */
const RATE_TRIAL = 4000;
const RATE_EFFECT = 0.2;

/** Too far behind for the rate: beyond the reserve by so much (s), at most every so often (ms). Without rate changes sooner but rarer. */
const JUMP_EXCESS = 0.7;
const JUMP_INTERVAL = 2000;
const JUMP_EXCESS_ALONE = 0.4;
const JUMP_INTERVAL_ALONE = 3000;

/** A jump that is needed again within so many intervals was in vain: the next interval is twice as long, up to this (ms). */
const JUMP_IN_VAIN = 4;
const LONGEST_JUMP_INTERVAL = 60000;

/** A hole between two buffered ranges is jumped when the clock is this near (s) to its edge. */
const EDGE = 0.1;

/** No frame for so long (ms) is a paused camera, and running dry then is no stall. */
const PAUSE = 1000;

/** Seconds kept behind the clock, and how many more may pile up before they are thrown away in one go. */
const KEEP = 10;
const TRIM_SLACK = 5;

/** Bytes that may wait for the SourceBuffer. A replay from the last keyframe is the largest thing that ever waits rightly. */
const QUEUE_LIMIT = 16 * 1024 * 1024;

/** Appends refused for lack of space, one after the other, before the camera is asked to pause. */
const QUOTA_LIMIT = 3;

/** Milliseconds between two looks at the clock while nothing is appended. */
const TICK = 250;

/** @returns {any} the browser's MediaSource, or the iPhone's ManagedMediaSource, or null */
function sourceClass() {
  const scope = /** @type {any} */ (globalThis);
  return scope.MediaSource || scope.ManagedMediaSource || null;
}

/** @param {string} mime @returns {boolean} */
export function playsType(mime) {
  const source = sourceClass();
  return source !== null && source.isTypeSupported(mime);
}

/** @param {Uint8Array[]} parts @returns {Uint8Array} */
function joined(parts) {
  if (parts.length === 1) return parts[0];
  const whole = new Uint8Array(parts.reduce((sum, part) => sum + part.byteLength, 0));
  let offset = 0;
  for (const part of parts) {
    whole.set(part, offset);
    offset += part.byteLength;
  }
  return whole;
}

/** One media element that plays one live track near its end. */
export class LiveSource {
  /**
   * @param {HTMLMediaElement} element
   * @param {Reserve} reserve
   * @param {{onfail: (reason: string) => void, onblocked: (blocked: boolean) => void, send: (message: object) => void}} handlers
   *        onblocked: the browser wants a tap before it plays; send: a message for the relay
   */
  constructor(element, reserve, handlers) {
    this.element = element;
    this.reserve = reserve;
    this.handlers = handlers;
    this.target = reserve.start;
    this.stats = { received: 0, fed: 0, dropped: 0, bufferedAhead: 0, stalls: 0, jumps: 0 };
    /** Waiting for the SourceBuffer; `mime` is set on init segments. @type {{mime: string | null, data: Uint8Array}[]} */
    this.queue = [];
    this.queuedBytes = 0;
    /** Seconds of the keyframes in the buffer: only there may it be cut. @type {number[]} */
    this.keys = [];
    this.needsKey = true;
    this.overflowed = false;
    this.refusals = 0;
    /** @type {any} */
    this.source = null;
    /** @type {SourceBuffer | null} */
    this.buffer = null;
    this.mime = "";
    this.url = "";
    this.started = false;
    this.blocked = false;
    this.closed = false;
    this.smooth = true;
    this.blames = 0;
    this.error = 0; // smoothed distance from the target, seconds
    this.patience = FIRST_PATIENCE;
    this.arrivedAt = 0;
    this.stalledAt = 0; // 0: not waiting for data
    this.stalledWith = 0; // seconds ahead at that moment
    this.lastStallAt = -Infinity;
    this.shrunk = false;
    this.easedAt = 0;
    this.ratedAt = 0;
    this.bentAt = 0; // when the rate left 1, and the error then
    this.bentWith = 0;
    this.jumpedAt = 0;
    this.jumpInterval = 0;
    this.onwaiting = () => {
      if (!this.started || this.element.seeking || this.stalledAt > 0) return;
      this.stalledAt = performance.now();
      this.stalledWith = this.distance();
    };
    this.onplaying = () => this.setBlocked(false);
    this.ontap = () => this.play();
    this.onerror = () => {
      if (this.element.error) this.fail(this.element.error.message || `media error ${this.element.error.code}`);
    };
    element.addEventListener("waiting", this.onwaiting);
    element.addEventListener("playing", this.onplaying);
    element.addEventListener("error", this.onerror);
    this.timer = setInterval(() => {
      this.steer();
      this.flush();
    }, TICK);
  }

  /** @param {string} mime @param {ArrayBuffer} init */
  track(mime, init) {
    if (this.closed) return;
    this.needsKey = true;
    if (!this.source || (this.mime !== mime && !(this.buffer && "changeType" in this.buffer))) this.attach(mime);
    this.queue.push({ mime, data: new Uint8Array(init) });
    this.queuedBytes += init.byteLength;
    this.flush();
  }

  /** @param {ArrayBuffer} message */
  frame(message) {
    if (this.closed) return;
    this.stats.received += 1;
    let frame;
    try {
      frame = readFrame(message);
    } catch (error) {
      this.fail(String(error));
      return;
    }
    this.judgeStall();
    if (this.queuedBytes + message.byteLength > QUEUE_LIMIT) this.overflow();
    if (this.needsKey && (!frame.key || this.overflowed)) {
      this.stats.dropped += 1;
      return;
    }
    this.needsKey = false;
    if (frame.key) this.keys.push(frame.timestamp / 1e6);
    this.stats.fed += 1;
    this.queue.push({ mime: null, data: new Uint8Array(message) });
    this.queuedBytes += message.byteLength;
    this.flush();
  }

  /** Starts the element. Called in a tap, it lifts the browser's ban on playing by itself. */
  play() {
    const begun = this.element.play();
    if (!begun) return;
    begun.then(
      () => this.setBlocked(false),
      (error) => {
        if (error.name === "NotAllowedError") this.setBlocked(true);
      },
    );
  }

  close() {
    this.closed = true;
    clearInterval(this.timer);
    this.setBlocked(false);
    this.element.removeEventListener("waiting", this.onwaiting);
    this.element.removeEventListener("playing", this.onplaying);
    this.element.removeEventListener("error", this.onerror);
    this.detach();
  }

  /** @param {string} mime */
  attach(mime) {
    this.detach();
    const Source = sourceClass();
    const source = new Source();
    this.source = source;
    this.mime = mime;
    this.queue = [];
    this.queuedBytes = 0;
    this.keys = [];
    this.started = false;
    source.addEventListener("sourceopen", () => {
      if (source !== this.source || this.buffer) return;
      URL.revokeObjectURL(this.url);
      try {
        source.duration = Infinity;
        this.buffer = source.addSourceBuffer(mime);
      } catch (error) {
        this.fail(String(error));
        return;
      }
      this.buffer.mode = "segments";
      this.buffer.addEventListener("updateend", () => {
        this.steer();
        this.flush();
      });
      this.buffer.addEventListener("error", () => this.fail("the browser cannot read this stream"));
      this.flush();
    });
    // Without this WebKit never opens a ManagedMediaSource; it has no AirPlay alternative to offer.
    /** @type {any} */ (this.element).disableRemotePlayback = true;
    const managed = /** @type {any} */ (globalThis).ManagedMediaSource;
    if (managed && source instanceof managed) {
      this.element.srcObject = source;
    } else {
      this.url = URL.createObjectURL(source);
      this.element.src = this.url;
    }
  }

  detach() {
    if (!this.source) return;
    this.source = null;
    this.buffer = null;
    if (this.element.srcObject) this.element.srcObject = null;
    this.element.removeAttribute("src");
    this.element.load();
  }

  /** Gives everything that waits to the SourceBuffer, in as few appends as it takes. */
  flush() {
    const buffer = this.buffer;
    if (this.closed || !buffer || buffer.updating) return;
    if (this.trim()) return;
    if (this.queue.length === 0) {
      if (this.overflowed) this.recover();
      return;
    }
    const { mime } = this.queue[0];
    let count = 1;
    try {
      if (mime && mime !== this.mime) {
        buffer.changeType(mime);
        this.mime = mime;
      }
      while (count < this.queue.length && (this.queue[count].mime === null || this.queue[count].mime === this.mime)) count += 1;
      buffer.appendBuffer(joined(this.queue.slice(0, count).map((entry) => entry.data)));
    } catch (error) {
      if (/** @type {DOMException} */ (error).name === "QuotaExceededError") this.makeRoom();
      else this.fail(String(error));
      return;
    }
    this.refusals = 0;
    for (const entry of this.queue.splice(0, count)) this.queuedBytes -= entry.data.byteLength;
  }

  /** @returns {boolean} whether old pictures are being removed (nothing can be appended meanwhile) */
  trim() {
    const { buffered } = /** @type {SourceBuffer} */ (this.buffer);
    const now = this.element.currentTime;
    if (!this.started || buffered.length === 0 || now - buffered.start(0) < KEEP + TRIM_SLACK) return false;
    return this.removeUntil(now - KEEP);
  }

  /** Removes all before the last keyframe up to a moment: a cut elsewhere would take everything up to the next keyframe with it
   *  (Media Source Extensions, coded frame removal). @param {number} moment seconds @returns {boolean} */
  removeUntil(moment) {
    const buffer = /** @type {SourceBuffer} */ (this.buffer);
    const past = this.keys.filter((key) => key <= moment);
    const cut = past[past.length - 1];
    if (cut === undefined || buffer.buffered.length === 0 || cut <= buffer.buffered.start(0)) return false;
    this.keys = this.keys.slice(past.length - 1);
    buffer.remove(0, cut);
    return true;
  }

  makeRoom() {
    this.refusals += 1;
    if (this.refusals >= QUOTA_LIMIT) this.overflow();
    if (this.removeUntil(this.element.currentTime)) return;
    // One group of pictures fills the whole quota: nothing older can go, so begin afresh at the next keyframe.
    this.overflow();
    const { mime } = this;
    this.attach(mime);
    this.handlers.send({ type: "join" });
  }

  /** Drops all that waits and asks the camera to hold on. */
  overflow() {
    this.stats.dropped += this.queue.filter((entry) => entry.mime === null).length;
    this.queue = this.queue.filter((entry) => entry.mime !== null);
    this.queuedBytes = this.queue.reduce((sum, entry) => sum + entry.data.byteLength, 0);
    this.needsKey = true;
    if (this.overflowed) return;
    this.overflowed = true;
    this.handlers.send({ type: "pause", reason: "overflow" });
  }

  recover() {
    this.overflowed = false;
    this.handlers.send({ type: "resume" });
    this.handlers.send({ type: "keyframe" }); // the others may have kept the camera running
  }

  /** A frame has arrived: was the wait for it a stall, or had the camera paused? */
  judgeStall() {
    const now = performance.now();
    const silence = now - this.arrivedAt;
    this.arrivedAt = now;
    if (this.stalledAt === 0) return;
    const stalledAt = this.stalledAt;
    this.stalledAt = 0;
    if (silence > PAUSE || stalledAt - this.jumpedAt < PAUSE / 2) return;
    this.stats.stalls += 1;
    if (this.smooth && stalledAt - this.ratedAt < RATE_BLAME && this.stalledWith > AT_HAND) {
      this.blames += 1;
      if (this.blames >= RATE_BLAMES) this.smooth = false;
    }
    const since = now - this.lastStallAt;
    this.lastStallAt = now;
    if (since < STALL_SAME) return;
    this.target = Math.min(this.reserve.most, this.target + this.reserve.step * (since < STALL_AGAIN ? 2 : 1));
    if (this.shrunk) this.patience = Math.min(LONGEST_PATIENCE, this.patience * 2);
    this.shrunk = false;
  }

  /** @returns {number} seconds from the clock to the newest frame */
  distance() {
    const ranges = this.buffer ? this.buffer.buffered : null;
    return ranges && ranges.length > 0 ? ranges.end(ranges.length - 1) - this.element.currentTime : 0;
  }

  /** Keeps the clock the reserve away from the newest frame. */
  steer() {
    const { buffer, element } = this;
    if (this.closed || !buffer || !this.source || this.source.readyState !== "open" || buffer.buffered.length === 0) return;
    const { buffered } = buffer;
    const last = buffered.length - 1;
    const end = buffered.end(last);
    const now = performance.now();
    if (!this.started) {
      this.started = true;
      element.currentTime = Math.max(buffered.start(last), end - this.target);
      this.jumpedAt = now;
      this.play();
      return;
    }
    if (element.seeking) return;
    this.ease(now);
    const clock = element.currentTime;
    const ahead = end - clock;
    this.stats.bufferedAhead = ahead;
    if (this.inHole(clock)) return this.jump(Math.max(buffered.start(last), end - this.target), now);
    const excess = this.smooth ? JUMP_EXCESS : JUMP_EXCESS_ALONE;
    const interval = Math.max(this.jumpInterval, this.smooth ? JUMP_INTERVAL : JUMP_INTERVAL_ALONE);
    if (ahead > this.target + excess && now - this.jumpedAt > interval) {
      const vain = now - this.jumpedAt < interval * JUMP_IN_VAIN;
      this.jumpInterval = vain ? Math.min(LONGEST_JUMP_INTERVAL, interval * 2) : 0;
      return this.jump(Math.max(buffered.start(last), end - this.target), now);
    }
    this.error += SMOOTHING * (ahead - this.target - this.error);
    if (this.smooth && now - this.ratedAt > RATE_INTERVAL) this.setRate(now);
    else if (!this.smooth && element.playbackRate !== 1) element.playbackRate = 1;
  }

  /** @param {number} clock seconds @returns {boolean} whether no frame is, or will be, where the clock stands, but later ones are */
  inHole(clock) {
    const { buffered } = /** @type {SourceBuffer} */ (this.buffer);
    const last = buffered.length - 1;
    if (clock < buffered.start(0) - EDGE) return true;
    for (let index = 0; index < last; index += 1) {
      if (clock > buffered.end(index) - EDGE && clock < buffered.start(index + 1)) return true;
    }
    return false;
  }

  /** @param {number} moment seconds @param {number} now ms */
  jump(moment, now) {
    this.stats.jumps += 1;
    this.jumpedAt = now;
    this.error = 0;
    this.stalledAt = 0;
    this.element.playbackRate = 1;
    this.element.currentTime = moment;
  }

  /** @param {number} now ms */
  setRate(now) {
    const { element } = this;
    // Once it runs faster or slower it does so until the error is gone, or the rate would flutter at the edge of the tolerance.
    const settled = element.playbackRate === 1 ? Math.abs(this.error) < TOLERANCE : this.error * (element.playbackRate - 1) <= 0;
    const wish = settled ? 1 : Math.min(FASTEST, Math.max(SLOWEST, 1 + GAIN * this.error));
    const rate = Math.round(wish / RATE_STEP) * RATE_STEP;
    if (element.playbackRate === 1) {
      this.bentAt = now;
      this.bentWith = this.error;
    } else if (now - this.bentAt > RATE_TRIAL) {
      this.smooth = Math.abs(this.error) < Math.abs(this.bentWith) * (1 - RATE_EFFECT);
      this.bentAt = now;
      this.bentWith = this.error;
    }
    if (Math.abs(rate - element.playbackRate) < RATE_STEP / 2) return;
    element.playbackRate = rate;
    this.ratedAt = now;
  }

  /** @param {number} now ms */
  ease(now) {
    const seconds = Math.min(1, (now - this.easedAt) / 1000);
    this.easedAt = now;
    if (now - this.lastStallAt < this.patience * 1000 || this.target <= this.reserve.start) return;
    this.shrunk = true;
    this.target = Math.max(this.reserve.start, this.target - DECAY * seconds);
  }

  /** @param {boolean} blocked */
  setBlocked(blocked) {
    if (blocked === this.blocked) return;
    this.blocked = blocked;
    if (blocked) document.addEventListener("pointerup", this.ontap);
    else document.removeEventListener("pointerup", this.ontap);
    this.handlers.onblocked(blocked);
  }

  /** @param {string} reason */
  fail(reason) {
    if (this.closed) return;
    this.close();
    this.handlers.onfail(reason);
  }
}

/** @implements {import("./tile.js").Engine} */
export class MseEngine {
  /** @param {import("./tile.js").TrackMessage} track @returns {Promise<boolean>} */
  static async supports(track) {
    return playsType(track.mime);
  }

  /** @param {HTMLElement} view @param {import("./tile.js").EngineHandlers} handlers */
  constructor(view, handlers) {
    this.name = "mse";
    this.handlers = handlers;
    const video = document.createElement("video");
    video.muted = true;
    video.autoplay = true;
    video.playsInline = true;
    video.setAttribute("muted", "");
    video.setAttribute("playsinline", "");
    video.tabIndex = -1;
    view.append(video);
    this.video = video;
    this.shown = 0;
    this.live = new LiveSource(video, VIDEO_RESERVE, handlers);
    this.closed = false;
    this.timer = 0;
    if ("requestVideoFrameCallback" in video) this.watchFrames();
    else this.timer = setInterval(() => this.countFrames(), TICK);
  }

  get stats() {
    const { received, fed, dropped, bufferedAhead, stalls, jumps } = this.live.stats;
    return { received, fed, dropped, shown: this.shown, bufferedAhead, stalls, jumps };
  }

  /** @param {import("./tile.js").TrackMessage} track @param {ArrayBuffer} init */
  track(track, init) {
    this.live.track(track.mime, init);
  }

  /** @param {number} _number @param {ArrayBuffer} message */
  frame(_number, message) {
    this.live.frame(message);
  }

  close() {
    this.closed = true;
    clearInterval(this.timer);
    this.live.close();
    this.video.remove();
  }

  watchFrames() {
    let seen = -1;
    /** @type {VideoFrameRequestCallback} */
    const next = (_now, { mediaTime, width, height }) => {
      if (this.closed) return;
      // `presentedFrames` would tell of those missed here, but Firefox counts every repetition in it.
      if (mediaTime !== seen) {
        seen = mediaTime;
        this.shown += 1;
        this.handlers.onpicture(mediaTime * 1e6, width, height);
      }
      this.video.requestVideoFrameCallback(next);
    };
    this.video.requestVideoFrameCallback(next);
  }

  /** For browsers that do not tell of each frame. */
  countFrames() {
    const quality = this.video.getVideoPlaybackQuality();
    const total = quality.totalVideoFrames - quality.droppedVideoFrames;
    if (total <= this.shown) return;
    this.shown = total;
    this.handlers.onpicture(this.video.currentTime * 1e6, this.video.videoWidth, this.video.videoHeight);
  }
}
