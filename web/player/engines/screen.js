// The page's end of a surface (surface.js has the other one, and the kinds): the element of the
// tile on which the pictures are seen.

import { Brush, LOOKS, SURFACES } from "./surface.js";
import { silentVideo } from "../../shared/page/silent-video.js";

/** @typedef {import("./surface.js").SurfaceKind} SurfaceKind */

/**
 * @param {{offscreen: boolean, trackGenerator: boolean}} abilities of the place where the other end
 *   will be
 * @returns {SurfaceKind[]} the kinds that this browser has, best first
 */
export function surfaceKinds(abilities) {
  const here = {
    generator: "MediaStreamTrackGenerator" in self || abilities.trackGenerator,
    offscreen: abilities.offscreen && "transferControlToOffscreen" in HTMLCanvasElement.prototype,
    canvas: true,
  };
  return SURFACES.filter((kind) => here[kind]);
}

/**
 * The page's end of a surface, and the frames engine of a tile (tile.js): what it shows is decoded
 * elsewhere.
 */
export class Screen {
  /**
   * @param {SurfaceKind} kind @param {HTMLElement} view where the element goes
   * @param {import("./surface.js").SurfaceHandlers} handlers tell: a message for the Surface
   */
  constructor(kind, view, handlers) {
    this.name = "frames";
    this.surface = kind;
    this.handlers = handlers;
    /** As the receiver says. @type {import("../../shared/types.js").EngineStats} */
    this.stats = { received: 0, fed: 0, shown: 0, dropped: 0, bufferedAhead: 0, stalls: 0 };
    /** Whether anything was seen of it; a canvas shows whatever is drawn on it. */
    this.lit = kind !== "generator";
    this.closed = false;
    /** @type {any} */
    this.source = null;
    this.looks = 0;
    this.waits = false;
    /** @type {Brush | null} */
    this.brush = null;
    /**
     * What the other end needs, and what of it is to be transferred.
     * @type {import("./surface.js").SurfaceOrder}
     */
    this.order = { kind };
    /** @type {Transferable[]} */
    this.transfer = [];
    this.element = kind === "generator" ? silentVideo() : document.createElement("canvas");
    view.append(this.element);
    if (kind === "generator") this.openVideo();
    else this.openCanvas();
  }

  openVideo() {
    const Generator = /** @type {any} */ (self).MediaStreamTrackGenerator;
    if (!Generator) return; // the worker makes it and sends its track
    const generator = new Generator({ kind: "video" });
    this.order.writable = generator.writable;
    this.transfer.push(generator.writable);
    this.play(generator);
  }

  /** @param {MediaStreamTrack} track */
  play(track) {
    this.source = track;
    /** @type {HTMLVideoElement} */ (this.element).srcObject = new MediaStream([track]);
    this.resume();
  }

  openCanvas() {
    const canvas = /** @type {HTMLCanvasElement} */ (this.element);
    if (this.surface === "offscreen") {
      this.order.canvas = canvas.transferControlToOffscreen();
      this.transfer.push(this.order.canvas);
      return;
    }
    // No alpha and no waiting for the page's own frame: the compositor may take the picture at the
    // next refresh.
    this.brush = new Brush(
      canvas,
      canvas.getContext("2d", { alpha: false, desynchronized: true }),
      this.handlers.onglass,
    );
  }

  track() {
    // The Receiver has given it to the decoder.
  }

  frame() {
    // This one too.
  }

  retire() {
    // What decoded for it is gone.
  }

  /** The page is seen again: some browsers stop a <video> meanwhile. */
  resume() {
    if (this.surface !== "generator" || !this.source) return;
    /** @type {HTMLVideoElement} */ (this.element).play().catch((error) => {
      // A phone that saves its battery plays no <video> without a tap; a canvas needs none.
      if (error.name === "NotAllowedError" && !this.closed)
        this.handlers.onfail("the browser wants a tap before it plays");
    });
  }

  /** Tells of the next pictures that are on the screen, where this end knows. */
  look() {
    if (this.brush) this.brush.look();
    if (this.surface !== "generator") return;
    this.looks = LOOKS;
    if (!this.waits) this.wait();
  }

  wait() {
    this.waits = true;
    /** @type {HTMLVideoElement} */ (this.element).requestVideoFrameCallback(
      (_now, { mediaTime }) => {
        this.waits = false;
        if (this.closed) return;
        this.lit = true;
        this.looks -= 1;
        this.handlers.onglass(Math.round(mediaTime * 1e6), performance.now());
        if (this.looks > 0) this.wait();
      },
    );
  }

  /**
   * From the Surface.
   * @param {{track?: MediaStreamTrack, picture?: VideoFrame, width?: number, height?: number}}
   *   message
   */
  receive({ track, picture, width = 0, height = 0 }) {
    if (track) {
      if (this.closed) track.stop();
      else this.play(track);
    }
    if (!picture) return;
    if (this.brush && !this.closed) this.brush.draw(picture, width, height);
    else picture.close();
    this.handlers.tell({ drawn: true });
  }

  close() {
    this.closed = true;
    if (this.brush) this.brush.close();
    if (this.source) {
      this.source.stop();
      /** @type {HTMLVideoElement} */ (this.element).srcObject = null;
    }
    this.element.remove();
  }
}
