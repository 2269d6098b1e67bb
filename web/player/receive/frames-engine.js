// The engine "frames": decodes one track here and brings its pictures to a surface. Whatever breaks
// there, the page hears of it, and chooses the next engine.

import { FramesDecoder } from "../engines/frames-decoder.js";
import { openSurface } from "../engines/surface.js";
import { TIME_ORIGIN } from "../../shared/time-origin.js";

/** Does something that may break.
 *  @param {() => void} action @param {(reason: string) => void} onfail */
export function attempt(action, onfail) {
  try {
    action();
  } catch (error) {
    onfail(String(error));
  }
}

export class FramesEngine {
  /**
   * @param {import("../engines/surface.js").SurfaceOrder} order
   * @param {{tell: (type: string, more: object, transfer?: Transferable[]) => void,
   *          send: (message: object) => void, ondecoded: (ms: number) => void,
   *          onnews: () => void}} handlers
   *        tell: a message for the page (receiver.js); send: one for the relay; ondecoded: how long
   *        a picture took; onnews: the first picture has another size than the one before
   */
  constructor(order, handlers) {
    this.handlers = handlers;
    /** Of the last picture. */
    this.size = "";
    /** @type {import("../engines/surface.js").Surface | null} */
    this.surface = null;
    /** @type {FramesDecoder | null} */
    this.decoder = null;
    this._attempt(() => this._openSurface(order), true);
    const { surface } = this;
    if (surface) this._attempt(() => this._openDecoder(surface));
  }

  /** @param {import("../engines/surface.js").SurfaceOrder} order */
  _openSurface(order) {
    const { tell } = this.handlers;
    this.surface = openSurface(order, {
      tell: (message, transfer) => tell("surface", message, transfer),
      onglass: (timestamp, moment) => tell("glass", { timestamp, moment: TIME_ORIGIN + moment }),
      onfail: (reason) => this._fail(reason, true),
    });
  }

  /** @param {import("../engines/surface.js").Surface} surface */
  _openDecoder(surface) {
    this.decoder = new FramesDecoder(surface, {
      onfail: (reason, ofSurface) => this._fail(reason, ofSurface),
      onpicture: (width, height, decodeTime) => this._onpicture(width, height, decodeTime),
      send: this.handlers.send,
    });
  }

  /** @returns {{fed: number, shown: number, dropped: number}} */
  get stats() {
    return this.decoder ? this.decoder.stats : { fed: 0, shown: 0, dropped: 0 };
  }

  /** @param {import("../../shared/types.js").TrackMessage} message @returns {Promise<boolean>} */
  async plays(message) {
    return this.decoder !== null && FramesDecoder.supports(message);
  }

  /** The next picture says how it is turned. */
  renew() {
    this.size = "";
  }

  /** @param {import("../../shared/types.js").TrackMessage} message */
  track(message) {
    if (this.decoder) this.decoder.track(message);
  }

  /** @param {import("../../shared/frames/webm-frame.js").Frame} frame @param {number} now ms */
  frame(frame, now) {
    if (this.decoder) this.decoder.frame(frame, now);
  }

  rest() {
    if (this.decoder) this.decoder.rest();
  }

  /** From the page's end of the surface. @param {any} order */
  receive(order) {
    const { surface } = this;
    if (surface) this._attempt(() => surface.receive(order), true);
  }

  look() {
    const { surface } = this;
    if (surface) this._attempt(() => surface.look(), true);
  }

  close() {
    const { decoder, surface } = this;
    this.decoder = this.surface = null;
    if (decoder) this._attempt(() => decoder.close());
    if (surface) this._attempt(() => surface.close());
  }

  /** @param {number} width @param {number} height @param {number | null} decodeTime ms */
  _onpicture(width, height, decodeTime) {
    if (decodeTime !== null) this.handlers.ondecoded(decodeTime);
    const size = `${width} ${height}`;
    if (size === this.size) return;
    this.size = size;
    this.handlers.tell("size", { width, height });
    this.handlers.onnews();
  }

  /** @param {() => void} action @param {boolean} [ofSurface] */
  _attempt(action, ofSurface = false) {
    attempt(action, (reason) => this._fail(reason, ofSurface));
  }

  /** @param {string} reason @param {boolean} ofSurface only on this surface it cannot go on */
  _fail(reason, ofSurface) {
    this.handlers.tell("fail", { surface: ofSurface, reason });
  }
}
