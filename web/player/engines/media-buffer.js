// The MediaSource of one media element with its one SourceBuffer, and what waits in front of it.
//
//   const handlers = { attempt(action) {}, onupdate() {}, onbreak(reason) {} };
//   const media = new MediaBuffer(element, isVideo, handlers);
//   media.attach(mime);             // a fresh, empty one
//   media.queue.init(mime, init); media.queue.frame(time, message);
//   media.append(now);              // whenever it is ready
//
// What is old is cut off at keyframes, and what the browser has no room for waits until it has.

import { AppendQueue } from "./append-queue.js";
import { isBuffered, isInHole, Keyframes } from "./buffered.js";

/**
 * Seconds kept behind the clock, and how many more may pile up before they are thrown away in one
 * go.
 */
const KEEP = 10;
const TRIM_SLACK = 5;

/** Milliseconds before what was refused for lack of room is tried again. */
const REFUSED_WAIT = 200;

/**
 * Frames that were appended and are not in the buffer (s): a gap has made the browser throw them
 * away up to the next keyframe (durations.js).
 */
const LOST = 0.05;

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

export class MediaBuffer {
  /**
   * @param {HTMLMediaElement} element
   * @param {boolean} isVideo
   * @param {{attempt: (action: () => void) => void, onupdate: () => void,
   *          onbreak: (reason: string) => void}} handlers
   *        attempt: does what nobody waits for; onupdate: there is more in the buffer, or less;
   *        onbreak: it can be used no more
   */
  constructor(element, isVideo, handlers) {
    this.element = element;
    this.isVideo = isVideo;
    this.handlers = handlers;
    /** @type {any} */
    this.source = null;
    /** @type {SourceBuffer | null} */
    this.buffer = null;
    this.mime = "";
    this.url = "";
    this.openedAt = 0; // when the SourceBuffer was made
    this.queue = new AppendQueue(this.isVideo);
    /** In the buffer. */
    this.keys = new Keyframes();
    this.appended = -Infinity; // seconds of the last frame given to it
    /** How often in a row the browser had no room. */
    this.refusals = 0;
    this.refusedAt = -Infinity;
  }

  /** Whether something can be appended now. */
  get isReady() {
    return this.buffer !== null && !this.buffer.updating;
  }

  /** Whether there is something to play. */
  get holdsMedia() {
    const { source, buffer } = this;
    return buffer !== null && source.readyState === "open" && buffer.buffered.length > 0;
  }

  /** Seconds at which the first of what is there begins. */
  get start() {
    return this._ranges.start(0);
  }

  /** Whether the browser has thrown away what was appended last. */
  get lost() {
    const ranges = this._ranges;
    return this.isReady && this.appended - ranges.end(ranges.length - 1) > LOST;
  }

  get _ranges() {
    return /** @type {SourceBuffer} */ (this.buffer).buffered;
  }

  /** @param {string} mime
   *  @returns {boolean} whether a track of this type can follow what is there */
  takes(mime) {
    if (this.source === null) return false;
    return this.mime === mime || (this.buffer !== null && "changeType" in this.buffer);
  }

  /** Gives the element a fresh, empty source. @param {string} mime */
  attach(mime) {
    this.detach();
    const Source = sourceClass();
    const source = new Source();
    this.source = source;
    this.mime = mime;
    this.queue = new AppendQueue(this.isVideo);
    this.keys = new Keyframes();
    this.appended = -Infinity;
    this.refusals = 0;
    source.addEventListener("sourceopen", () => {
      if (source !== this.source || this.buffer) return;
      URL.revokeObjectURL(this.url);
      this.handlers.attempt(() => this._fill(mime));
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
  _fill(mime) {
    const { source } = this;
    source.duration = Infinity;
    const buffer = /** @type {SourceBuffer} */ (source.addSourceBuffer(mime));
    buffer.mode = "segments";
    this.buffer = buffer;
    this.openedAt = performance.now();
    buffer.addEventListener("updateend", () => this.handlers.onupdate());
    buffer.addEventListener("error", () => {
      if (source === this.source) this.handlers.onbreak("the browser cannot read this stream");
    });
    this.handlers.onupdate();
  }

  detach() {
    if (!this.source) return;
    this.source = null;
    this.buffer = null;
    if (this.element.srcObject) this.element.srcObject = null;
    this.element.removeAttribute("src");
    this.element.load();
  }

  /** Gives everything that waits to the SourceBuffer, in as few appends as it takes.
   *  @param {number} now ms @returns {number} frames */
  append(now) {
    const { buffer, queue } = this;
    if (!buffer || !this.isReady || queue.isEmpty) return 0;
    if (this.refusals > 0 && now - this.refusedAt < REFUSED_WAIT) return 0;
    const { mime } = queue;
    try {
      if (mime && mime !== this.mime) {
        buffer.changeType(mime);
        this.mime = mime;
      }
      buffer.appendBuffer(queue.next(this.mime));
    } catch (error) {
      if (/** @type {DOMException} */ (error).name === "QuotaExceededError") this._makeRoom(now);
      else this.handlers.onbreak(String(error));
      return 0;
    }
    this.refusals = 0;
    const times = queue.taken();
    if (times.length > 0) this.appended = times[times.length - 1];
    return times.length;
  }

  /** The browser has no room: what is behind the clock can go. @param {number} now ms */
  _makeRoom(now) {
    this.refusals += 1;
    this.refusedAt = now;
    this._removeUntil(this.element.currentTime);
  }

  /**
   * @returns {boolean} whether old pictures are being removed (nothing can be appended meanwhile)
   */
  trim() {
    const now = this.element.currentTime;
    if (this._ranges.length === 0 || now - this._ranges.start(0) < KEEP + TRIM_SLACK) return false;
    return this._removeUntil(now - KEEP);
  }

  /** Removes all before the last keyframe up to a moment.
   *  @param {number} moment seconds @returns {boolean} whether there is something */
  _removeUntil(moment) {
    const cut = this.keys.cut(this._ranges, moment);
    if (cut !== null) /** @type {SourceBuffer} */ (this.buffer).remove(0, cut);
    return cut !== null;
  }

  /**
   * @param {number} moment seconds; what lies before the last buffered range cannot be played on
   *   from
   */
  seek(moment) {
    const ranges = this._ranges;
    this.element.currentTime = Math.max(ranges.start(ranges.length - 1), moment);
  }

  /** @param {number} clock seconds @returns {boolean} whether the frame of that moment is there */
  has(clock) {
    return isBuffered(this._ranges, clock);
  }

  /** @param {number} clock seconds
   *  @returns {boolean} whether no frame is, or will be, there, but later ones are */
  isHole(clock) {
    return isInHole(this._ranges, clock);
  }
}
