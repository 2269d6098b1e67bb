// One camera that is gone: why, since when, in words, and the button by which a person puts it
// away. It is gone until its pictures are back: that something has come under its name again, and
// not filmed yet, is no picture.

import { clockTime } from "../../shared/page/clock-time.js";
import { nameButton } from "../../shared/page/named.js";

/**
 * What the relay says of a camera (docs/protocol.md, "States"). `since` is ms since the epoch by
 * the relay's clock, of `gone`.
 * @typedef {{state: string, reason?: string, since?: number, keyless?: boolean, label?: string}}
 *   Word
 */

/**
 * since: as the relay says it, or this page's own time where it does not; shown: the same, never in
 * the future of this device.
 * @typedef {{reason: string, since: number, shown: number}} Gone
 */

/**
 * Milliseconds for which words are good: the day may change. To write a time takes a while, and a
 * tile asks four times a second.
 */
const TRUE_FOR = 30000;

/** What happened, by the relay's reason. @type {Record<string, string>} */
const HAPPENED = {
  left: "Switched off",
  closed: "Page closed",
  lost: "Connection lost",
  media: "Video broken",
};

/** @param {string} reason @returns {string} what happened, in two words */
export function happened(reason) {
  return HAPPENED[reason] || HAPPENED.lost;
}

export class Departure {
  /**
   * @param {string} name of the camera
   * @param {{onchange: () => void, onputaway: () => void}} handlers onchange: it has gone, gone
   *        otherwise, or is back; onputaway: a person has seen it, and wants to see it no more
   * @param {Node} icon for the button
   */
  constructor(name, handlers, icon) {
    this.handlers = handlers;
    /** @type {Gone | null} */
    this.gone = null;
    /** The last words, and when they were found, ms since the epoch. */
    this.said = { words: "", at: 0 };
    const words = document.createElement("span");
    words.textContent = "Put away";
    /** Goes into the caption. */
    this.button = document.createElement("button");
    this.button.type = "button";
    this.button.className = "tool away";
    nameButton(this.button, `Put away ${name}`);
    this.button.hidden = true;
    this.button.append(icon, words);
    this.button.addEventListener("click", () => this.handlers.onputaway());
  }

  /** @param {Word} word @param {number} [now] ms since the epoch */
  hear({ state, reason = "", since = 0, keyless = false }, now = Date.now()) {
    if (state === "gone") {
      const { gone } = this;
      if (gone && gone.reason === reason && (gone.since === since || !(since > 0))) return;
      const known = since > 0 ? since : now;
      this.change({ reason, since: known, shown: Math.min(known, now) });
    } else if (this.gone && (state !== "waiting" || keyless)) this.change(null);
  }

  /** @param {Gone | null} gone */
  change(gone) {
    this.gone = gone;
    this.said.at = 0;
    this.button.hidden = gone === null;
    this.handlers.onchange();
  }

  /** What happened and when, "" while it is there. */
  get words() {
    if (!this.gone) return "";
    const now = Date.now();
    if (Math.abs(now - this.said.at) > TRUE_FOR)
      this.said = { words: `${happened(this.gone.reason)} ${clockTime(this.gone.shown)}`, at: now };
    return this.said.words;
  }

  /** Its person wanted it so. */
  get calm() {
    return this.gone !== null && this.gone.reason === "left";
  }
}
