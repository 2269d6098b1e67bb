// Where decoded pictures go. A surface has two ends: the Surface takes VideoFrames where they are
// decoded, mostly in a worker, and the Screen is its element in the page. There are three kinds,
// best first:
//
//   generator   a track that a <video> plays (MediaStreamTrackGenerator of Chrome,
//               VideoTrackGenerator of Safari): the browser's compositor draws it without the page,
//               at the first refresh
//   offscreen   a canvas that the worker draws on; the page's own one learns of it a refresh later
//   canvas      the pictures are posted to the page, which draws them: works everywhere, but waits
//               while the page is busy
//
// A Surface keeps this contract:
//
//   give(picture, width, height)   takes a VideoFrame and closes it, to be shown in this size;
//                                  whether it is on its way to the screen, and
//                      not left out
//   look()             tells `onglass` of the next few pictures that are on the screen
//   receive(message)   from its Screen
//   close()
//
// Both ends talk over the port of receiver.js: what they tell each other has the type "surface".
// Here is the Surface; the Screen is in screen.js.

/** @typedef {"generator" | "offscreen" | "canvas"} SurfaceKind */

/** Best first. @type {SurfaceKind[]} */
export const SURFACES = ["generator", "offscreen", "canvas"];

/**
 * What the page hands over for the other end.
 * @typedef {{kind: SurfaceKind, writable?: WritableStream<VideoFrame>, canvas?: OffscreenCanvas}}
 *   SurfaceOrder
 */

/**
 * tell: a message for the Screen; onglass: a picture of this time (µs of the relay's clock) is on
 * the screen at this moment (performance.now() of this end).
 * @typedef {{tell: (message: object, transfer?: Transferable[]) => void, onglass: (timestamp:
 *             number, moment: number) => void, onfail: (reason: string) => void}} SurfaceHandlers
 */

/**
 * @typedef {{give: (picture: VideoFrame, width: number, height: number) => boolean, look: () =>
 *   void, receive: (message: any) => void, close: () => void}} Surface
 */

/** Pictures looked at each time: enough for a median. */
export const LOOKS = 3;

/**
 * Pictures that may be on the way to the screen; the next ones are left out. A decoder has few to
 * give away.
 */
const MOST_UNDERWAY = 3;

/**
 * @param {() => void} action at the next refresh of the screen, as well as this place knows it: for
 * a worker's canvas that fits in Firefox, and is a refresh too early in Chrome, which has a better
 * surface.
 */
function atRefresh(action) {
  if (typeof requestAnimationFrame === "function") requestAnimationFrame(action);
  else action();
}

/**
 * @param {SurfaceOrder} order
 * @param {SurfaceHandlers} handlers
 * @returns {Surface}
 * @throws {Error} where this browser has no such
 */
export function openSurface(order, handlers) {
  if (order.kind === "generator") return new GeneratorSurface(order, handlers);
  if (order.kind === "offscreen") return new OffscreenSurface(order, handlers);
  return new PostedSurface(handlers);
}

/** @implements {Surface} */
class GeneratorSurface {
  /** @param {SurfaceOrder} order @param {SurfaceHandlers} handlers */
  constructor(order, handlers) {
    this.handlers = handlers;
    let { writable } = order;
    if (!writable) {
      const generator = new /** @type {any} */ (self).VideoTrackGenerator();
      writable = /** @type {WritableStream<VideoFrame>} */ (generator.writable);
      handlers.tell({ track: generator.track }, [generator.track]);
    }
    this.writer = writable.getWriter();
    this.underway = 0;
    this.closed = false;
  }

  /** @param {VideoFrame} picture @returns {boolean} */
  give(picture) {
    if (this.closed || this.underway >= MOST_UNDERWAY) {
      picture.close();
      return false;
    }
    this.underway += 1;
    this.writer.write(picture).then(
      () => {
        this.underway -= 1; // the track has closed the picture
      },
      (error) => {
        picture.close();
        if (!this.closed) this.handlers.onfail(String(error));
        this.closed = true;
      },
    );
    return true;
  }

  look() {
    // The <video> in the page knows better.
  }

  receive() {}

  close() {
    this.closed = true;
    this.writer.close().catch(() => {}); // the track may have ended before
  }
}

/** @implements {Surface} */
class OffscreenSurface {
  /** @param {SurfaceOrder} order @param {SurfaceHandlers} handlers */
  constructor(order, handlers) {
    this.handlers = handlers;
    this.canvas = /** @type {OffscreenCanvas} */ (order.canvas);
    const pen = this.canvas.getContext("2d", { alpha: false });
    if (!pen) throw new Error("no canvas to draw on");
    this.brush = new Brush(this.canvas, pen, handlers.onglass);
  }

  /** @param {VideoFrame} picture @param {number} width @param {number} height @returns {boolean} */
  give(picture, width, height) {
    this.brush.draw(picture, width, height);
    return true;
  }

  look() {
    this.brush.look();
  }

  receive() {}

  close() {
    this.brush.close();
  }
}

/** @implements {Surface} */
class PostedSurface {
  /** @param {SurfaceHandlers} handlers */
  constructor(handlers) {
    this.handlers = handlers;
    this.underway = 0;
    /**
     * The newest picture, while the page has enough to do, and the size in which it is shown.
     * @type {VideoFrame | null}
     */
    this.waiting = null;
    this.width = this.height = 0;
  }

  /** @param {VideoFrame} picture @param {number} width @param {number} height @returns {boolean} */
  give(picture, width, height) {
    if (this.waiting) this.waiting.close();
    Object.assign(this, { waiting: picture, width, height });
    // Unless no newer one comes before the page has time.
    if (this.underway >= MOST_UNDERWAY) return false;
    this.post();
    return true;
  }

  post() {
    const picture = this.waiting;
    if (!picture) return;
    this.waiting = null;
    this.underway += 1;
    this.handlers.tell({ picture, width: this.width, height: this.height }, [
      /** @type {any} */ (picture),
    ]);
  }

  look() {
    // The page draws, so the page knows.
  }

  receive() {
    this.underway -= 1;
    this.post();
  }

  close() {
    if (this.waiting) this.waiting.close();
    this.waiting = null;
  }
}

/** Draws on a canvas, in a worker or in the page, and sees when it is on the screen. */
export class Brush {
  /**
   * @param {{width: number, height: number}} canvas
   * @param {any} pen its 2d context
   * @param {SurfaceHandlers["onglass"]} onglass
   */
  constructor(canvas, pen, onglass) {
    this.canvas = canvas;
    this.pen = pen;
    this.onglass = onglass;
    this.looks = 0;
    this.waits = false;
    this.closed = false;
  }

  /**
   * @param {VideoFrame} picture
   * @param {number} width in which it is shown
   * @param {number} height
   */
  draw(picture, width, height) {
    const { canvas } = this;
    if (canvas.width !== width || canvas.height !== height) {
      // The phone was turned; what was cleared is drawn before anybody sees it.
      canvas.width = width;
      canvas.height = height;
    }
    this.pen.drawImage(picture, 0, 0, width, height);
    const { timestamp } = picture;
    picture.close();
    if (this.looks === 0 || this.waits) return;
    this.looks -= 1;
    this.waits = true;
    atRefresh(() => {
      this.waits = false;
      if (!this.closed) this.onglass(timestamp, performance.now());
    });
  }

  look() {
    this.looks = LOOKS;
  }

  close() {
    this.closed = true;
  }
}
