// One media element that plays one live track near its end, through MediaSource or the iPhone's ManagedMediaSource: a queue in front of the
// SourceBuffer, trimming behind the clock, and words to the camera when the queue overflows. Where the clock should stand is decided in
// live-edge.js. Pictures and sound never share an element: Chrome collects 200 ms of sound before it starts one that has any.

import { joined, lastLong, lastsLong } from "./durations.js";
import { AUDIO_RESERVE, LiveEdge, VIDEO_RESERVE } from "./live-edge.js";
import { readFrame } from "./message.js";

/** No frame for so long (ms) is a paused camera, and running dry then is no stall. */
const PAUSE = 1000;

/** A wait for the next frame that is over so soon (ms) is no stall: nobody sees it, and the clock has waited for the frame. */
const HICCUP = 100;

/** Seconds kept behind the clock, and how many more may pile up before they are thrown away in one go. */
const KEEP = 10;
const TRIM_SLACK = 5;

/** Bytes that may wait for the SourceBuffer. A replay from the last keyframe is the largest thing that ever waits rightly. */
const QUEUE_LIMIT = 16 * 1024 * 1024;

/** Appends refused for lack of space, one after the other, before the camera is asked to pause. */
const QUOTA_LIMIT = 3;

/** A hole between two buffered ranges is jumped when the clock is this near (s) to its edge. */
const EDGE = 0.1;

/** When fewer than this part of the pictures that came were shown (looked at every so many ms, if there were enough), something is wrong; a
 *  remedy must bring so much more. */
const SMOOTH_SHARE = 0.8;
const SMOOTH_INTERVAL = 1500;
const SMOOTH_LEAST = 8;
const SMOOTH_GAIN = 0.15;

/** Pictures that came but are not in the buffer, in seconds: a gap has made the browser throw them away (durations.js). Jerky is better. */
const LOST = 0.4;

/** Milliseconds between two looks at the clock while nothing is appended. */
const TICK = 250;

/** A seek that takes longer than this (ms) went to where nothing is, and is made again. */
const SEEK_LIMIT = 700;

/** Whether pictures are said to last long (durations.js), which is found out by trying, once for all tiles. Chrome shows them all; Firefox and
 *  WebKit leave many out then. share: what part was shown when it was tried otherwise. */
let lasting = { long: true, tried: false, share: 0 };

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

/** One media element that plays one live track near its end. */
export class LiveSource {
  /**
   * @param {HTMLMediaElement} element
   * @param {"video" | "audio"} kind
   * @param {{onfail: (reason: string) => void, onblocked: (blocked: boolean) => void, send: (message: object) => void}} handlers
   *        onblocked: the browser wants a tap before it plays; send: a message for the relay
   */
  constructor(element, kind, handlers) {
    this.element = element;
    this.long = false; // the pictures in the buffer last long
    /** Pictures shown so far; kept up by whoever sees them. */
    this.shown = 0;
    this.isVideo = kind === "video";
    this.edge = new LiveEdge(kind === "video" ? VIDEO_RESERVE : AUDIO_RESERVE);
    this.handlers = handlers;
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
    this.arrivedAt = 0;
    this.stalledAt = 0; // 0: not waiting for data
    this.smoothAt = 0; // when it was looked at, and what had come and was shown then
    this.smoothFed = 0;
    this.smoothShown = 0;
    this.onwaiting = () => {
      if (this.started && !this.element.seeking && this.stalledAt === 0) this.stalledAt = performance.now();
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
      this.judgeSmoothness(performance.now());
      this.steer();
      this.flush();
    }, TICK);
  }

  /** @param {string} mime @param {ArrayBuffer} init */
  track(mime, init) {
    if (this.closed) return;
    this.needsKey = true;
    if (!this.source || (this.mime !== mime && !(this.buffer && "changeType" in this.buffer))) this.attach(mime);
    this.edge.begin(performance.now());
    const data = this.long ? lastLong(init) : new Uint8Array(init);
    this.queue.push({ mime, data });
    this.queuedBytes += data.byteLength;
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
    const now = performance.now();
    this.judgeStall(now);
    this.edge.arrive(frame.timestamp / 1e6, now);
    if (this.queuedBytes + message.byteLength > QUEUE_LIMIT) this.overflow();
    if (this.needsKey && (!frame.key || this.overflowed)) {
      this.stats.dropped += 1;
      return;
    }
    this.needsKey = false;
    if (frame.key) this.keys.push(frame.timestamp / 1e6);
    this.stats.fed += 1;
    this.queue.push({ mime: null, data: this.long ? lastsLong(message) : new Uint8Array(message) });
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
    this.long = this.isVideo && lasting.long;
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
    this.restart();
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

  /** A frame has arrived: was the wait for it a stall, or had the camera paused? @param {number} now ms */
  judgeStall(now) {
    const silence = now - this.arrivedAt;
    this.arrivedAt = now;
    if (this.stalledAt === 0) return;
    const stalledAt = this.stalledAt;
    this.stalledAt = 0;
    if (silence > PAUSE || now - stalledAt < HICCUP || stalledAt - this.edge.jumpedAt < PAUSE / 2) return;
    if (this.edge.stall(now)) this.stats.stalls += 1;
  }

  /** Too few pictures shown of those that came: they come too late for this browser, or it does not like them to last long.
   *  @param {number} now ms */
  judgeSmoothness(now) {
    if (now - this.smoothAt < SMOOTH_INTERVAL) return;
    const fed = this.stats.fed - this.smoothFed;
    const share = (this.shown - this.smoothShown) / fed;
    const settled = this.smoothAt > this.edge.begunAt && now - this.smoothAt < 2 * SMOOTH_INTERVAL;
    this.smoothAt = now;
    this.smoothFed = this.stats.fed;
    this.smoothShown = this.shown;
    if (!this.isVideo || !settled || fed < SMOOTH_LEAST || share >= SMOOTH_SHARE || document.visibilityState !== "visible") return;
    if (this.long !== lasting.long) {
      this.restart(); // another tile has found it out
    } else if (share === 0) {
      return; // not jerky but still decoding all since the last keyframe, or stuck: what notices that is elsewhere
    } else if (lasting.long && !lasting.tried) {
      lasting = { long: false, tried: true, share };
      this.restart();
    } else if (!lasting.long && share < lasting.share + SMOOTH_GAIN) {
      lasting = { ...lasting, long: true }; // it was not that: the machine is busy
      this.restart();
    } else {
      this.edge.stall(now);
    }
  }

  /** Begins afresh with an empty buffer, at the last keyframe. */
  restart() {
    this.needsKey = true;
    this.attach(this.mime);
    this.handlers.send({ type: "join" });
  }

  /** Keeps the clock where the live edge wants it. */
  steer() {
    const { buffer, element } = this;
    if (this.closed || !buffer || !this.source || this.source.readyState !== "open" || buffer.buffered.length === 0) return;
    const now = performance.now();
    if (this.isVideo && !this.long && this.edge.newest - buffer.buffered.end(buffer.buffered.length - 1) > LOST) {
      lasting = { ...lasting, long: true };
      this.restart();
      return;
    }
    const clock = element.currentTime;
    // A seek into the buffer takes as long as it takes to decode from the last keyframe; another one would only begin that again.
    if (this.started && element.seeking && (now - this.edge.jumpedAt < SEEK_LIMIT || this.isBuffered(clock))) return;
    this.stats.bufferedAhead = this.edge.newest - clock;
    if (!this.started) {
      this.started = true;
      this.seek(this.edge.jump(this.edge.goal(now), now).jump);
      this.play();
      return;
    }
    const lost = element.seeking || this.inHole(clock);
    const wish = lost ? this.edge.jump(this.edge.goal(now), now) : this.edge.steer(clock, now);
    if ("jump" in wish) {
      this.stats.jumps += 1;
      this.stalledAt = 0;
      element.playbackRate = 1;
      this.seek(wish.jump);
    } else if (element.playbackRate !== wish.rate) {
      element.playbackRate = wish.rate;
    }
  }

  /** @param {number} moment seconds; what lies before the last buffered range cannot be played on from */
  seek(moment) {
    const { buffered } = /** @type {SourceBuffer} */ (this.buffer);
    this.element.currentTime = Math.max(buffered.start(buffered.length - 1), moment);
  }

  /** @param {number} clock seconds @returns {boolean} */
  isBuffered(clock) {
    const { buffered } = /** @type {SourceBuffer} */ (this.buffer);
    for (let index = 0; index < buffered.length; index += 1) {
      if (buffered.start(index) <= clock && clock < buffered.end(index)) return true;
    }
    return false;
  }

  /** @param {number} clock seconds @returns {boolean} whether no frame is, or will be, where the clock stands, but later ones are */
  inHole(clock) {
    const { buffered } = /** @type {SourceBuffer} */ (this.buffer);
    if (clock < buffered.start(0) - EDGE) return true;
    for (let index = 0; index < buffered.length - 1; index += 1) {
      if (clock > buffered.end(index) - EDGE && clock < buffered.start(index + 1)) return true;
    }
    return false;
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
