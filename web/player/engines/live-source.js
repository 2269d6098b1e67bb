// One media element that plays one live track near its end, through MediaSource or the iPhone's ManagedMediaSource: a queue in front of the
// SourceBuffer, and trimming behind the clock. Where the clock should stand is decided in live-edge.js, when the camera is asked to pause
// in overflow.js. Pictures and sound never share an element: Chrome collects 200 ms of sound before it starts one that has any.

import { Durations, joined, lasting } from "./durations.js";
import { AUDIO_RESERVE, LiveEdge, VIDEO_RESERVE } from "./live-edge.js";
import { readFrame } from "../../shared/frames/frame-message.js";
import { Overflow } from "./overflow.js";

/** A wait for data that is over so soon (ms) is no stall: nobody sees it. One that lasts longer than the second is one more stall. */
const HICCUP = 100;
const LONG_STALL = 500;

/** Seconds kept behind the clock, and how many more may pile up before they are thrown away in one go. */
const KEEP = 10;
const TRIM_SLACK = 5;

/** Bytes that may wait for the SourceBuffer, whatever happens. What waits rightly is a replay from the last keyframe at most. */
const QUEUE_LIMIT = 16 * 1024 * 1024;

/** Milliseconds before what was refused for lack of room is tried again, and between two empty buffers made because of that. */
const REFUSED_WAIT = 200;
const EMPTY_INTERVAL = 10000;

/** A camera from which nothing has come for so long (ms) is not asked to pause. */
const CAMERA_SENDS = 2000;

/** Keyframes that are remembered, whatever happens: with four a second, more than a minute of them. */
const MOST_KEYS = 256;

/** A hole between two buffered ranges is jumped when the clock is this near (s) to its edge. */
const EDGE = 0.1;

/** Frames that were appended and are not in the buffer (s): a gap has made the browser throw them away up to the next keyframe
 *  (durations.js). Then the relay is asked for all since the last keyframe, at most every so many ms. */
const LOST = 0.05;
const REJOIN_INTERVAL = 2000;

/** How many of the pictures that came were shown is counted over so many ms, if there were enough. */
const SMOOTH_INTERVAL = 1500;
const SMOOTH_LEAST = 8;

/** Milliseconds that the element waits for the end of a backlog before it starts. */
const START_LIMIT = 500;

/** Keyframes so near to one another (s) are cheap for this camera, and where the clock is far behind one more may be asked for (ms apart).
 *  With others it costs every viewer a gap. */
const CHEAP_KEYFRAMES = 3;
const KEYFRAME_ASK_INTERVAL = 1000;
const CATCH_UP = 0.5;

/** Milliseconds between two looks at the clock while nothing is appended. */
const TICK = 250;

/** A seek that takes longer than this (ms) went to where nothing is, and is made again. */
const SEEK_LIMIT = 700;

/** The same for one to where something is: a busy computer may need so long to decode all since the last keyframe. But where frames came
 *  only after the seek WebKitGTK may forget it. */
const DECODE_LIMIT = 5000;

/** An element that breaks down is begun afresh, if it does not do so this often in so many ms. WebKitGTK's sometimes does on a busy computer,
 *  when it is moved to where the stream is while it starts. */
const MOST_BREAKDOWNS = 4;
const BREAKDOWN_WINDOW = 10000;

/** @returns {any} the browser's MediaSource, or the iPhone's ManagedMediaSource, or null */
function sourceClass() {
  const scope = /** @type {any} */ (window);
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
    /** How many pictures were shown so far; set by whoever can see them. @type {(() => number) | null} */
    this.countShown = null;
    this.durations = new Durations();
    this.isVideo = kind === "video";
    this.edge = new LiveEdge(kind === "video" ? VIDEO_RESERVE : AUDIO_RESERVE);
    this.handlers = handlers;
    this.stats = { received: 0, fed: 0, dropped: 0, bufferedAhead: 0, stalls: 0, jumps: 0 };
    /** Waiting for the SourceBuffer; `mime` is set on init segments, `time` (s) on frames.
     *  @type {{mime: string | null, time: number, data: ArrayBuffer}[]} */
    this.queue = [];
    this.queuedBytes = 0;
    /** The first of the queue as they are appended, while the browser has no room. @type {Uint8Array<ArrayBuffer>[] | null} */
    this.pending = null;
    /** Seconds of the keyframes in the buffer: only there may it be cut. @type {number[]} */
    this.keys = [];
    this.needsKey = true;
    this.overflow = new Overflow();
    this.refusals = 0;
    this.refusedAt = -Infinity;
    this.emptiedAt = -Infinity;
    /** @type {any} */
    this.source = null;
    /** @type {SourceBuffer | null} */
    this.buffer = null;
    this.mime = "";
    this.url = "";
    this.started = false;
    this.previewed = false;
    this.blocked = false;
    this.closed = false;
    this.openedAt = 0; // when the SourceBuffer was made
    this.appended = -Infinity; // seconds of the last frame given to it
    this.rejoinedAt = -Infinity;
    this.keyframeAskedAt = -Infinity;
    /** When it broke down lately. @type {number[]} */
    this.breakdowns = [];
    this.stalledAt = 0; // 0: not waiting for data
    this.counted = { at: 0, fed: 0, shown: 0, jumps: 0 };
    this.unseenAt = -Infinity;
    this.onwaiting = () => {
      if (this.started && !this.element.seeking && this.stalledAt === 0) this.stalledAt = performance.now();
    };
    this.onplaying = () => {
      if (element.paused) return; // it has played; somebody has stopped it since
      this.setBlocked(false);
      this.judgeStall(performance.now());
      this.stalledAt = 0;
    };
    this.ontap = () => this.play();
    this.onerror = () => {
      if (this.element.error) this.breakDown(this.element.error.message || `media error ${this.element.error.code}`);
    };
    element.addEventListener("waiting", this.onwaiting);
    element.addEventListener("playing", this.onplaying);
    element.addEventListener("error", this.onerror);
    this.timer = setInterval(() => {
      this.attempt(() => {
        const now = performance.now();
        this.judgeSmoothness(now);
        this.steer();
        this.flush();
        this.judgeLoad(now);
      });
    }, TICK);
  }

  /** Does what nobody waits for: whatever breaks there, this cannot go on. @param {() => void} action */
  attempt(action) {
    try {
      action();
    } catch (error) {
      this.fail(String(error));
    }
  }

  /** @param {string} mime @param {ArrayBuffer} init */
  track(mime, init) {
    if (this.closed) return;
    this.needsKey = true;
    if (!this.source || (this.mime !== mime && !(this.buffer && "changeType" in this.buffer))) this.attach(mime);
    this.edge.begin(performance.now());
    this.queue.push({ mime, time: 0, data: init });
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
    const time = frame.timestamp / 1e6;
    this.edge.arrive(time, performance.now());
    if (this.queuedBytes + message.byteLength > QUEUE_LIMIT) this.dropQueue();
    if (this.overflow.voting || (this.needsKey && !frame.key)) {
      this.needsKey = true;
      this.stats.dropped += 1;
      return;
    }
    this.needsKey = false;
    if (frame.key) this.addKey(time);
    this.queue.push({ mime: null, time, data: message });
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

  /** Shows its last picture from now on, and wants nothing more. */
  retire() {
    clearInterval(this.timer);
    if (this.overflow.voting) this.handlers.send({ type: "resume" });
    this.overflow = new Overflow();
  }

  close() {
    this.closed = true;
    this.retire();
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
    this.pending = null;
    this.refusals = 0;
    this.durations = new Durations();
    this.keys = [];
    this.appended = -Infinity;
    this.started = false;
    this.previewed = this.breakdowns.length > 0; // the fewer moves while it starts, the better
    source.addEventListener("sourceopen", () => {
      if (source !== this.source || this.buffer) return;
      URL.revokeObjectURL(this.url);
      this.attempt(() => this.fill(mime));
    });
    // Without this WebKit never opens a ManagedMediaSource; it has no AirPlay alternative to offer.
    /** @type {any} */ (this.element).disableRemotePlayback = true;
    const managed = /** @type {any} */ (window).ManagedMediaSource;
    if (managed && source instanceof managed) {
      this.element.srcObject = source;
    } else {
      this.url = URL.createObjectURL(source);
      this.element.src = this.url;
    }
  }

  /** The source is open. @param {string} mime */
  fill(mime) {
    const { source } = this;
    source.duration = Infinity;
    const buffer = /** @type {SourceBuffer} */ (source.addSourceBuffer(mime));
    buffer.mode = "segments";
    this.buffer = buffer;
    this.openedAt = performance.now();
    buffer.addEventListener("updateend", () => {
      this.attempt(() => {
        this.steer();
        this.flush();
      });
    });
    buffer.addEventListener("error", () => {
      if (source === this.source) this.breakDown("the browser cannot read this stream");
    });
    this.flush();
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
    if (this.trim() || this.queue.length === 0) return;
    if (this.refusals > 0 && performance.now() - this.refusedAt < REFUSED_WAIT) return;
    const { mime } = this.queue[0];
    try {
      if (mime && mime !== this.mime) {
        buffer.changeType(mime);
        this.mime = mime;
      }
      if (!this.pending) this.pending = this.nextAppend();
      buffer.appendBuffer(joined(this.pending));
    } catch (error) {
      if (/** @type {DOMException} */ (error).name === "QuotaExceededError") this.makeRoom();
      else this.breakDown(String(error));
      return;
    }
    this.refusals = 0;
    for (const entry of this.queue.splice(0, this.pending.length)) {
      this.queuedBytes -= entry.data.byteLength;
      if (entry.mime !== null) continue;
      this.appended = entry.time;
      this.stats.fed += 1;
    }
    this.pending = null;
  }

  /** @returns {Uint8Array<ArrayBuffer>[]} what waits first, as much as may be appended together */
  nextAppend() {
    const parts = [];
    for (const [index, { mime, time, data }] of this.queue.entries()) {
      if (mime !== null && mime !== this.mime) break;
      if (mime !== null || !this.isVideo) {
        parts.push(new Uint8Array(data));
        continue;
      }
      const alone = this.durations.overlaps(time);
      if (alone && parts.length > 0) break;
      const following = this.queue[index + 1];
      parts.push(lasting(data, this.durations.of(time, following && following.mime === null ? following.time : null)));
      if (alone) break;
    }
    return parts;
  }

  /** @param {number} time seconds of a keyframe; what was behind it is replaced by it and what follows */
  addKey(time) {
    this.keys = this.keys.filter((key) => key < time).slice(1 - MOST_KEYS);
    this.keys.push(time);
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

  /** The browser has no room: what is behind the clock can go. */
  makeRoom() {
    this.refusals += 1;
    this.refusedAt = performance.now();
    this.removeUntil(this.element.currentTime);
  }

  /** Throws away all that waits but the beginning of the track. */
  dropQueue() {
    this.stats.dropped += this.queue.filter((entry) => entry.mime === null).length;
    this.queue = this.queue.filter((entry) => entry.mime !== null).slice(-1);
    this.pending = null;
    this.queuedBytes = this.queue.reduce((sum, entry) => sum + entry.data.byteLength, 0);
    this.needsKey = true;
  }

  /** Does the browser take what comes? @param {number} now ms */
  judgeLoad(now) {
    if (this.closed) return;
    const { element, edge, overflow, queue } = this;
    const waiting = queue.filter((entry) => entry.mime === null);
    const seconds = waiting.length === 0 ? 0 : waiting[waiting.length - 1].time - waiting[0].time;
    const seen = document.visibilityState === "visible";
    const moves = seen && this.started && !element.paused && this.appended > -Infinity;
    const measure = overflow.look(
      {
        // What comes before it has started is the replay since the last keyframe.
        bytes: this.started ? this.queuedBytes : 0,
        seconds: this.started ? seconds : 0,
        ahead: moves ? this.appended - element.currentTime : 0,
        refused: this.refusals,
        // Sound alone is no reason to stop the pictures.
        mayVote: this.isVideo && seen && !this.blocked && (overflow.voting || now - edge.arrivedAt < CAMERA_SENDS),
      },
      now,
    );
    if (measure === "trim") this.relieve(now);
    else if (measure === "pause") this.askForPause();
    else if (measure !== "") this.handlers.send({ type: "resume" });
    if (measure === "resume") this.handlers.send({ type: "keyframe" }); // others may have kept the camera running
    else if (measure === "restart") this.restart();
  }

  /** The first measure: without what waits it may keep up. @param {number} now ms */
  relieve(now) {
    const { reason } = this.overflow;
    if (reason === "quota") {
      // One group of pictures fills all the room there is: nothing older can go, so begin afresh.
      if (now - this.emptiedAt < EMPTY_INTERVAL) return;
      this.emptiedAt = now;
      this.restart();
    } else if (reason === "ahead") {
      this.stats.jumps += 1;
      this.seek(this.edge.jump(now).jump);
    } else {
      this.dropQueue();
      this.handlers.send({ type: "keyframe" });
    }
  }

  askForPause() {
    const { reason } = this.overflow;
    // What was refused waits on: that it is taken is the sign that there is room again.
    if (reason !== "quota") this.dropQueue();
    this.handlers.send({ type: "pause", reason });
  }

  /** The element waits for data, or has waited: was it a stall? What comes after a freeze or a jump is none. @param {number} now ms */
  judgeStall(now) {
    const { edge, stalledAt } = this;
    if (stalledAt === 0 || now - stalledAt < HICCUP) return;
    const upset = Math.max(edge.jumpedAt, edge.frozenAt) > stalledAt - LONG_STALL;
    const excused = upset || now < edge.settlesAt || now - edge.arrivedAt > HICCUP;
    if (!excused && edge.stall(now)) this.stats.stalls += 1;
  }

  /** Are the pictures shown that come? @param {number} now ms */
  judgeSmoothness(now) {
    const { counted, stats } = this;
    if (document.visibilityState !== "visible" || this.element.clientWidth === 0) this.unseenAt = now;
    if (!this.countShown || now - counted.at < SMOOTH_INTERVAL) return;
    const shown = this.countShown();
    const fed = stats.fed - counted.fed;
    const upset = Math.max(this.openedAt, this.edge.jumpedAt, this.edge.frozenAt);
    const disturbed = this.unseenAt >= counted.at || stats.jumps !== counted.jumps || counted.at < upset + SMOOTH_INTERVAL;
    const steady = !disturbed && this.started && now - counted.at < 2 * SMOOTH_INTERVAL;
    if (steady && fed >= SMOOTH_LEAST) this.edge.shown((shown - counted.shown) / fed, now);
    this.counted = { at: now, fed: stats.fed, shown, jumps: stats.jumps };
  }

  /** Begins afresh with an empty buffer, at the last keyframe. */
  restart() {
    this.needsKey = true;
    this.attach(this.mime);
    this.handlers.send({ type: "join" });
  }

  /** Asks for everything since the last keyframe; it replaces what is in the buffer, and the last picture stands meanwhile.
   *  @param {number} now ms */
  rejoin(now) {
    if (now - this.rejoinedAt < REJOIN_INTERVAL) return;
    this.rejoinedAt = now;
    this.needsKey = true;
    this.handlers.send({ type: "join" });
  }

  /** Keeps the clock where the live edge wants it. */
  steer() {
    const { buffer, element, edge } = this;
    if (this.closed || !buffer || !this.source || this.source.readyState !== "open" || buffer.buffered.length === 0) return;
    const now = performance.now();
    if (this.isVideo && !buffer.updating && this.appended - buffer.buffered.end(buffer.buffered.length - 1) > LOST) this.rejoin(now);
    const clock = element.currentTime;
    // A seek into the buffer takes as long as it takes to decode from the last keyframe; another one would only begin that again.
    if (this.started && element.seeking && now - edge.jumpedAt < (this.isBuffered(clock) ? DECODE_LIMIT : SEEK_LIMIT)) return;
    this.stats.bufferedAhead = edge.newest - clock;
    if (!this.started) {
      if (now < edge.settlesAt && now - this.openedAt < START_LIMIT) {
        if (this.isVideo && !this.previewed) this.element.currentTime = buffer.buffered.start(0);
        this.previewed = true; // a picture at once: the keyframe, until the backlog is over
        return;
      }
      this.started = true;
      this.seek(edge.jump(now).jump);
      this.play();
      return;
    }
    // Browsers stop elements by themselves: one that was in the background, or whose picture was floating and was closed.
    if (element.paused && !this.blocked) this.play();
    if (this.stalledAt > 0 && now - this.stalledAt > LONG_STALL) {
      this.judgeStall(now);
      this.stalledAt = now;
    }
    const key = this.keys.length > 0 ? this.keys[this.keys.length - 1] : -Infinity;
    const wish = element.seeking || this.inHole(clock) ? edge.jump(now) : edge.steer(clock, now, key);
    if ("jump" in wish) {
      this.stats.jumps += 1;
      this.stalledAt = 0;
      element.playbackRate = 1;
      this.seek(wish.jump);
    } else if (element.playbackRate !== wish.rate) {
      element.playbackRate = wish.rate;
      if (edge.newest - clock > CATCH_UP) this.askForKeyframe(now);
    }
  }

  /** Far behind: from a fresh keyframe the clock could go on at once. @param {number} now ms */
  askForKeyframe(now) {
    const { keys } = this;
    const spacing = keys.length > 1 ? keys[keys.length - 1] - keys[keys.length - 2] : Infinity;
    if (!this.isVideo || spacing > CHEAP_KEYFRAMES || now - this.keyframeAskedAt < KEYFRAME_ASK_INTERVAL) return;
    this.keyframeAskedAt = now;
    this.handlers.send({ type: "keyframe" });
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
  breakDown(reason) {
    if (this.closed) return;
    const now = performance.now();
    this.breakdowns = this.breakdowns.filter((at) => now - at < BREAKDOWN_WINDOW);
    this.breakdowns.push(now);
    if (this.breakdowns.length >= MOST_BREAKDOWNS) return this.fail(reason);
    console.warn("mse: begun afresh,", reason);
    this.restart();
  }

  /** @param {string} reason */
  fail(reason) {
    if (this.closed) return;
    this.close();
    this.handlers.onfail(reason);
  }
}
