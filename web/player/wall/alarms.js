// Cameras that are missed. A tile says at once that its camera is gone; the page's title and a
// screen reader say so after a while, once, so that a phone whose page is reloaded alarms nobody.
// One that its person has switched off is told to the screen reader, and is no alarm.

import { calledInText } from "../tile/called.js";
import { happened } from "../tile/departure.js";

/** Milliseconds in which a phone's page that is reloaded films again, with some to spare. */
export const FORBEARANCE = 10000;

export class Alarms {
  /**
   * @param {{onchange: () => void, ontell: (name: string) => void}} handlers onchange: `words` are
   *         others, perhaps; ontell: a screen reader is to say that this camera is gone
   */
  constructor(handlers) {
    this.handlers = handlers;
    /** @type {Map<string, {reason: string, told: boolean, timer: number}>} */
    this.missed = new Map();
  }

  /** A camera is gone, or gone otherwise. @param {string} name @param {string} reason */
  hear(name, reason) {
    const before = this.missed.get(name);
    // That it goes again before its pictures were back is no news, and puts off nothing.
    if (before && (before.reason !== "left" || reason === "left")) {
      before.reason = reason;
      return this.handlers.onchange();
    }
    if (before) clearTimeout(before.timer);
    // A timer of its own, set once: hidden pages' chains of timers may sleep for a minute.
    this.missed.set(name, {
      reason,
      told: false,
      timer: setTimeout(() => this.tell(name), FORBEARANCE),
    });
    this.handlers.onchange();
  }

  /** It is back, or was put away. @param {string} name */
  forget(name) {
    const before = this.missed.get(name);
    if (!before) return;
    clearTimeout(before.timer);
    this.missed.delete(name);
    this.handlers.onchange();
  }

  /** @param {string} name */
  tell(name) {
    const one = this.missed.get(name);
    if (!one) return;
    one.told = true;
    this.handlers.ontell(name);
    this.handlers.onchange();
  }

  /**
   * @param {string | null} [seen] a camera of which nothing need be said
   * @returns {string} which are missed and why; "" if none is
   */
  words(seen = null) {
    const grave = [...this.missed].filter(
      ([name, { told, reason }]) => told && reason !== "left" && name !== seen,
    );
    const what = [...new Set(grave.map(([, { reason }]) => happened(reason).toLowerCase()))].join(
      ", ",
    );
    const who = grave.length === 1 ? calledInText(grave[0][0]) : `${grave.length} cameras`;
    return grave.length === 0 ? "" : `${who}: ${what}`;
  }
}
