// One media element that plays one live track near its end, through MediaSource or the iPhone's
// ManagedMediaSource: a queue in front of the SourceBuffer, and trimming behind the clock. Where
// the clock should stand is decided in live-edge.js, when the camera is asked to pause in
// overflow.js. Pictures and sound never share an element: Chrome collects 200 ms of sound before it
// starts one that has any.

import { AUDIO_RESERVE, LiveEdge, VIDEO_RESERVE } from "./live-edge.js";
import { Autoplay } from "./autoplay.js";
import { readFrame } from "../../shared/frames/frame-message.js";
import { MediaBuffer } from "./media-buffer.js";
import { Overflow } from "./overflow.js";
import { Smoothness } from "./smoothness.js";

/**
 * A wait for data that is over so soon (ms) is no stall: nobody sees it. One that lasts longer than
 * the second is one more stall.
 */
const HICCUP = 100;
const LONG_STALL = 500;

/** Milliseconds between two empty buffers made because the browser had no room. */
const EMPTY_INTERVAL = 10000;

/** A camera from which nothing has come for so long (ms) is not asked to pause. */
const CAMERA_SENDS = 2000;

/** What the browser has thrown away is asked for again at most every so many ms. */
const REJOIN_INTERVAL = 2000;

/** Milliseconds that the element waits for the end of a backlog before it starts. */
const START_LIMIT = 500;

/**
 * Keyframes so near to one another (s) are cheap for this camera, and where the clock is far behind
 * one more may be asked for (ms apart). With others it costs every viewer a gap.
 */
const CHEAP_KEYFRAMES = 3;
const KEYFRAME_ASK_INTERVAL = 1000;
const CATCH_UP = 0.5;

/** Milliseconds between two looks at the clock while nothing is appended. */
const TICK = 250;

/** A seek that takes longer than this (ms) went to where nothing is, and is made again. */
const SEEK_LIMIT = 700;

/**
 * The same for one to where something is: a busy computer may need so long to decode all since the
 * last keyframe. But where frames came only after the seek WebKitGTK may forget it.
 */
const DECODE_LIMIT = 5000;

/**
 * An element that breaks down is begun afresh, if it does not do so this often in so many ms.
 * WebKitGTK's sometimes does on a busy computer, when it is moved to where the stream is while it
 * starts.
 */
const MOST_BREAKDOWNS = 4;
const BREAKDOWN_WINDOW = 10000;

/** One media element that plays one live track near its end. */
export class LiveSource {
  /**
   * @param {HTMLMediaElement} element
   * @param {"video" | "audio"} kind
   * @param {{onfail: (reason: string) => void, onblocked: (blocked: boolean) => void, send:
   *        (message: object) => void}} handlers onblocked: the browser wants a tap before it plays;
   *        send: a message for the relay
   */
  constructor(element, kind, handlers) {
    this.element = element;
    /**
     * How many pictures were shown so far; set by whoever can see them.
     * @type {(() => number) | null}
     */
    this.countShown = null;
    this.isVideo = kind === "video";
    this.edge = new LiveEdge(kind === "video" ? VIDEO_RESERVE : AUDIO_RESERVE);
    this.handlers = handlers;
    this.stats = { received: 0, fed: 0, dropped: 0, bufferedAhead: 0, stalls: 0, jumps: 0 };
    this.media = new MediaBuffer(element, this.isVideo, {
      attempt: (action) => this.attempt(action),
      onupdate: () => this.attempt(() => this.proceed()),
      onbreak: (reason) => this.breakDown(reason),
    });
    this.needsKey = true;
    this.overflow = new Overflow();
    this.emptiedAt = -Infinity;
    this.started = false;
    this.previewed = false;
    this.autoplay = new Autoplay(element, handlers.onblocked);
    this.closed = false;
    this.rejoinedAt = -Infinity;
    this.keyframeAskedAt = -Infinity;
    /** When it broke down lately. @type {number[]} */
    this.breakdowns = [];
    this.stalledAt = 0; // 0: not waiting for data
    this.smoothness = new Smoothness();
    const onwaiting = () => {
      if (!this.started || element.seeking) return;
      if (this.stalledAt === 0) this.stalledAt = performance.now();
    };
    const onplaying = () => {
      if (element.paused) return; // it has played; somebody has stopped it since
      this.autoplay.block(false);
      this.judgeStall(performance.now(), 0);
    };
    const onerror = () => {
      const { error } = element;
      if (error) this.breakDown(error.message || `media error ${error.code}`);
    };
    /** @type {[string, () => void][]} */
    this.listeners = [
      ["waiting", onwaiting],
      ["playing", onplaying],
      ["error", onerror],
    ];
    for (const one of this.listeners) element.addEventListener(...one);
    this.timer = setInterval(() => {
      this.attempt(() => {
        const now = performance.now();
        this.judgeSmoothness(now);
        this.proceed();
        this.judgeLoad(now);
      });
    }, TICK);
  }

  /**
   * Does what nobody waits for: whatever breaks there, this cannot go on.
   * @param {() => void} action
   */
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
    if (!this.media.takes(mime)) this.attach(mime);
    this.edge.begin(performance.now());
    this.media.queue.init(mime, init);
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
    if (!this.media.queue.hasRoom(message.byteLength)) this.dropQueue();
    if (this.overflow.voting || (this.needsKey && !frame.key)) {
      this.needsKey = true;
      this.stats.dropped += 1;
      return;
    }
    this.needsKey = false;
    if (frame.key) this.media.keys.add(time);
    this.media.queue.frame(time, message);
    this.flush();
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
    this.autoplay.block(false);
    for (const one of this.listeners) this.element.removeEventListener(...one);
    this.media.detach();
  }

  /** @param {string} mime */
  attach(mime) {
    this.media.attach(mime);
    this.started = false;
    this.previewed = this.breakdowns.length > 0; // the fewer moves while it starts, the better
  }

  /** Moves the clock, and lets in what waits. */
  proceed() {
    this.steer();
    this.flush();
  }

  /** Gives what waits to the browser, or makes it throw away what is old. */
  flush() {
    const { media } = this;
    if (this.closed || !media.isReady || (this.started && media.trim())) return;
    this.stats.fed += media.append(performance.now());
  }

  /** Throws away all that waits but the beginning of the track. */
  dropQueue() {
    this.stats.dropped += this.media.queue.drop();
    this.needsKey = true;
  }

  /** Does the browser take what comes? @param {number} now ms */
  judgeLoad(now) {
    if (this.closed) return;
    const { element, edge, overflow, media } = this;
    const seen = document.visibilityState === "visible";
    const sends = overflow.voting || now - edge.arrivedAt < CAMERA_SENDS;
    const moves = seen && this.started && !element.paused && media.appended > -Infinity;
    const measure = overflow.look(
      {
        // What comes before it has started is the replay since the last keyframe.
        bytes: this.started ? media.queue.bytes : 0,
        seconds: this.started ? media.queue.seconds : 0,
        ahead: moves ? media.appended - element.currentTime : 0,
        refused: media.refusals,
        // Sound alone is no reason to stop the pictures.
        mayVote: this.isVideo && seen && !this.autoplay.blocked && sends,
      },
      now,
    );
    if (measure === "trim") this.relieve(now);
    else if (measure === "pause") this.askForPause();
    else if (measure !== "") this.handlers.send({ type: "resume" });
    // Others may have kept the camera running.
    if (measure === "resume") this.handlers.send({ type: "keyframe" });
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
      this.media.seek(this.edge.jump(now).jump);
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

  /** The element waits for data, or has waited: was it a stall? What comes after a freeze or a jump
   *  is none.
   *  @param {number} now ms @param {number} again since when it waits now, or 0 */
  judgeStall(now, again) {
    const { edge, stalledAt } = this;
    this.stalledAt = again;
    if (stalledAt === 0 || now - stalledAt < HICCUP) return;
    const upset = Math.max(edge.jumpedAt, edge.frozenAt) > stalledAt - LONG_STALL;
    const excused = upset || now < edge.settlesAt || now - edge.arrivedAt > HICCUP;
    if (!excused && edge.stall(now)) this.stats.stalls += 1;
  }

  /** Are the pictures shown that come? @param {number} now ms */
  judgeSmoothness(now) {
    const { edge, stats, smoothness } = this;
    const hidden = document.visibilityState !== "visible" || this.element.clientWidth === 0;
    if (hidden) smoothness.unseen(now);
    if (!this.countShown || !smoothness.due(now)) return;
    const upset = Math.max(this.media.openedAt, edge.jumpedAt, edge.frozenAt);
    const counts = { fed: stats.fed, shown: this.countShown(), jumps: stats.jumps };
    const share = smoothness.count(counts, upset, now);
    if (share !== null && this.started) edge.shown(share, now);
  }

  /** Begins afresh with an empty buffer, at the last keyframe. */
  restart() {
    this.needsKey = true;
    this.attach(this.media.mime);
    this.handlers.send({ type: "join" });
  }

  /**
   * Asks for everything since the last keyframe; it replaces what is in the buffer, and the last
   * picture stands meanwhile.
   * @param {number} now ms
   */
  rejoin(now) {
    if (now - this.rejoinedAt < REJOIN_INTERVAL) return;
    this.rejoinedAt = now;
    this.needsKey = true;
    this.handlers.send({ type: "join" });
  }

  /** Keeps the clock where the live edge wants it. */
  steer() {
    const { media, element, edge } = this;
    if (this.closed || !media.holdsMedia) return;
    const now = performance.now();
    if (this.isVideo && media.lost) this.rejoin(now);
    const clock = element.currentTime;
    // A seek into the buffer takes as long as it takes to decode from the last keyframe; another
    // one would only begin that again.
    const limit = media.has(clock) ? DECODE_LIMIT : SEEK_LIMIT;
    if (this.started && element.seeking && now - edge.jumpedAt < limit) return;
    this.stats.bufferedAhead = edge.newest - clock;
    if (!this.started) {
      if (now < edge.settlesAt && now - media.openedAt < START_LIMIT) {
        if (this.isVideo && !this.previewed) element.currentTime = media.start;
        this.previewed = true; // a picture at once: the keyframe, until the backlog is over
        return;
      }
      this.started = true;
      this.media.seek(edge.jump(now).jump);
      this.autoplay.play();
      return;
    }
    // Browsers stop elements by themselves: one that was in the background, or whose picture was
    // floating and was closed.
    if (element.paused && !this.autoplay.blocked) this.autoplay.play();
    if (this.stalledAt > 0 && now - this.stalledAt > LONG_STALL) this.judgeStall(now, now);
    const lost = element.seeking || media.isHole(clock);
    const wish = lost ? edge.jump(now) : edge.steer(clock, now, media.keys.last);
    if ("jump" in wish) {
      this.stats.jumps += 1;
      this.stalledAt = 0;
      element.playbackRate = 1;
      this.media.seek(wish.jump);
    } else if (element.playbackRate !== wish.rate) {
      element.playbackRate = wish.rate;
      if (edge.newest - clock > CATCH_UP) this.askForKeyframe(now);
    }
  }

  /** Far behind: from a fresh keyframe the clock could go on at once. @param {number} now ms */
  askForKeyframe(now) {
    const dear = this.media.keys.spacing > CHEAP_KEYFRAMES;
    if (!this.isVideo || dear || now - this.keyframeAskedAt < KEYFRAME_ASK_INTERVAL) return;
    this.keyframeAskedAt = now;
    this.handlers.send({ type: "keyframe" });
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
