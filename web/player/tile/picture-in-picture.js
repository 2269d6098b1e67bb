// A tile's picture in a small window above all others (W3C Picture-in-Picture), also while the page
// is hidden, by our button or by the browser's own.
//
// Where the tile shows a <video> as it is, that floats: the browser draws it without the page. What
// floats instead while pictures are on a canvas, are turned by CSS, or are none of now is a <video>
// of our own, fed from a canvas (captureStream). So the window never looks well when the tile does
// not: it greys the last picture and says what the tile says. A browser lets the page put another
// <video> into a window that is open without a tap.
//
//   const floating = new PictureInPicture(view, { shown, video, live, words, onchange });
//   tile.append(floating.own);
//   // soon somebody may tap: a <video> that has no picture yet cannot float
//   floating.prepare();
//   await floating.toggle();   // in a tap
//   floating.paint();          // a picture was drawn
//   floating.look();           // a few times a second

import { drawSeen, seenSize } from "../engines/pose.js";
import { silentVideo } from "../../shared/page/silent-video.js";

/**
 * Milliseconds without a live picture after which the window says so: an engine that begins anew
 * takes less.
 */
const LAPSE = 1500;

/** Milliseconds before the browser is asked again to show another <video> in the window. */
const RETRY = 2000;

/** Milliseconds that a browser may take to do so. */
const SWITCH_LIMIT = 1000;

/**
 * Pixels of the longer side of our canvas at least, so that words can be read, and its size while
 * there is no picture.
 */
const LEAST_SIDE = 640;
const EMPTY = { width: 640, height: 360 };

/** Of the canvas' height: letters, and lines. */
const LETTERS = 1 / 14;
const LINE = 1.35;

/** How much is left of a picture that is none of now. */
const DIMMED = 0.3;

/**
 * shown: what shows the tile's picture, null for nothing; video: the same where it is a <video>
 * that can float as it is, else null; live: whether pictures are of now; words: what the camera is
 * called, and what to say while they are not; onchange: it floats, or no more.
 * @typedef {{shown: () => import("../engines/pose.js").Shown | null, video: () => HTMLVideoElement
 *             | null, live: () => boolean, words: () => string[], onchange: () => void}} Host
 */

export class PictureInPicture {
  /** Whether this browser can, and lets pages do it. @returns {boolean} */
  static able() {
    return (
      document.pictureInPictureEnabled === true &&
      "requestPictureInPicture" in HTMLVideoElement.prototype &&
      "captureStream" in HTMLCanvasElement.prototype
    );
  }

  /** @param {HTMLElement} view in which the tile's own videos are @param {Host} host */
  constructor(view, host) {
    this.host = host;
    /** What floats. @type {HTMLVideoElement | null} */
    this.element = null;
    this.own = silentVideo();
    this.own.className = "floating-picture";
    this.own.setAttribute("aria-hidden", "true");
    /** @type {CanvasRenderingContext2D | null} */
    this.pen = null;
    this.switching = false; // another one is about to float
    this.switchedAt = this.refusedAt = -Infinity;
    this.liveAt = -Infinity;
    this.closed = false;
    // The browser's own button or menu: it may be for any of our videos, which come and go.
    for (const place of [view, this.own])
      place.addEventListener("enterpictureinpicture", ({ target }) => this.onenter(target), true);
  }

  get floats() {
    return this.element !== null;
  }

  /** Pictures are of now, or were a moment ago. */
  get isLive() {
    return performance.now() - this.liveAt < LAPSE;
  }

  /** What is to float. @returns {HTMLVideoElement} */
  get target() {
    return (this.isLive && this.host.video()) || this.own;
  }

  /**
   * Whether the window is just about to let go of this one: a <video> that leaves the page would
   * close it.
   * @param {Element | null} element
   * @returns {boolean}
   */
  holds(element) {
    return (
      element !== null &&
      element === this.element &&
      this.switching &&
      performance.now() - this.switchedAt < SWITCH_LIMIT
    );
  }

  /** Our own <video> gets its first picture. */
  prepare() {
    if (this.pen) return;
    const canvas = document.createElement("canvas");
    this.pen = canvas.getContext("2d", { alpha: false });
    if (!this.pen) return;
    this.draw();
    this.own.srcObject = canvas.captureStream();
    this.own.play().catch(() => undefined); // it is asked again
    this.draw(); // what was drawn before it began does not count everywhere
  }

  /** Nobody taps, and nothing floats. */
  release() {
    if (this.floats || this.switching) return;
    const { srcObject } = this.own;
    if (srcObject instanceof MediaStream) for (const track of srcObject.getTracks()) track.stop();
    this.own.srcObject = null;
    this.pen = null;
  }

  /** In a tap. @throws {Error} the browser refuses */
  async toggle() {
    if (this.floats) return document.exitPictureInPicture();
    this.prepare();
    if (this.host.live()) this.liveAt = performance.now();
    await this.show(this.target);
  }

  /** @param {HTMLVideoElement} video @throws {Error} the browser refuses */
  async show(video) {
    this.switching = true;
    this.switchedAt = performance.now();
    try {
      await video.requestPictureInPicture();
      this.onenter(video);
    } finally {
      this.switching = false;
      const now = document.pictureInPictureElement;
      if (this.element && now !== this.element) this.onleave(this.element);
    }
  }

  /** @param {any} video */
  onenter(video) {
    if (this.closed || !(video instanceof HTMLVideoElement) || video === this.element) return;
    const before = this.floats;
    this.element = video;
    video.addEventListener("leavepictureinpicture", () => this.onleave(video), { once: true });
    if (before) return;
    this.prepare();
    this.host.onchange();
  }

  /** @param {HTMLVideoElement} video */
  onleave(video) {
    if (this.element !== video || this.switching) return;
    this.element = null;
    this.release();
    this.host.onchange();
  }

  /** A few times a second: what floats is what is true. */
  look() {
    const now = performance.now();
    if (this.host.live()) this.liveAt = now;
    if (!this.floats) return;
    if (!this.isLive) this.draw();
    // Somebody's keyboard has a key for that.
    if (this.own.paused) this.own.play().catch(() => undefined);
    const { target } = this;
    if (target === this.element || this.switching || now - this.refusedAt < RETRY) return;
    this.show(target).catch(() => {
      this.refusedAt = performance.now();
    });
  }

  /** A picture was drawn. */
  paint() {
    if (this.element === this.own && this.isLive) this.draw();
  }

  draw() {
    const { pen } = this;
    if (!pen) return;
    const { canvas } = pen;
    const shown = this.host.shown();
    const seen = shown ? seenSize(shown) : EMPTY;
    const { width, height } = seen.width > 0 && seen.height > 0 ? seen : EMPTY;
    const scale = Math.max(1, LEAST_SIDE / Math.max(width, height));
    const size = { width: Math.round(width * scale), height: Math.round(height * scale) };
    if (canvas.width !== size.width || canvas.height !== size.height) Object.assign(canvas, size);
    if (this.isLive && shown) return drawSeen(pen, shown);
    pen.fillStyle = "#101214";
    pen.fillRect(0, 0, canvas.width, canvas.height);
    pen.globalAlpha = DIMMED;
    pen.filter = "grayscale(1)"; // where the browser has it
    if (shown) drawSeen(pen, shown);
    pen.filter = "none";
    pen.globalAlpha = 1;
    this.write(pen);
  }

  /** @param {CanvasRenderingContext2D} pen */
  write(pen) {
    const { width, height } = pen.canvas;
    const letters = Math.round(Math.min(width, height) * LETTERS);
    pen.font = `bold ${letters}px system-ui, sans-serif`;
    pen.textAlign = "center";
    pen.textBaseline = "middle";
    pen.fillStyle = "#eceff2";
    const lines = this.host
      .words()
      .reduce(
        (all, words) => all.concat(broken(pen, words, width - 2 * letters)),
        /** @type {string[]} */ ([]),
      );
    const first = height / 2 - ((lines.length - 1) / 2) * letters * LINE;
    lines.forEach((line, index) => pen.fillText(line, width / 2, first + index * letters * LINE));
  }

  /** The tile goes. */
  close() {
    this.closed = true;
    if (this.element && document.pictureInPictureElement === this.element)
      document.exitPictureInPicture().catch(() => undefined);
    this.element = null;
    this.switching = false;
    this.release();
    this.own.remove();
  }
}

/**
 * @param {CanvasRenderingContext2D} pen
 * @param {string} words
 * @param {number} width pixels
 * @returns {string[]} lines
 */
function broken(pen, words, width) {
  /** @type {string[]} */
  const lines = [];
  for (const word of words.split(" ")) {
    const longer = lines.length > 0 ? `${lines[lines.length - 1]} ${word}` : word;
    if (lines.length > 0 && pen.measureText(longer).width <= width)
      lines[lines.length - 1] = longer;
    else lines.push(word);
  }
  return lines;
}
