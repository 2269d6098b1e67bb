// What else a person can do with a tile, behind one button: save its picture, let it float above
// other windows, set how loud it is, and move it among the others. The panel lies over whatever is
// there, because a tile may be smaller than it; while it is open the page stays as it is.
//
//   const more = new More({ onsave() {}, onfloat() {}, onloudness(loudness, done) {}, onmove(by)
//   {}, onopen() {}, onclose() {} }); tools.append(more.button); tile.append(more.panel); // at
//   every change, and by the clock more.refresh({ name, picture, floats, floating, loudness, place,
//   places }); more.say("Saved the picture of 14:03.");

import { button, icon, part, setAttribute, setText } from "../../shared/page/elements.js";
import { nameButton } from "../../shared/page/named.js";

/** Pixels between the panel and the window's edge, and between it and its button. */
const MARGIN = 8;
const GAP = 6;

/** Percent: what is switched on is heard. For silence there is the button of the sound. */
const LEAST_LOUDNESS = 5;

/**
 * name: what the camera is called; picture: there is one; floats: it may float (see
 * picture-in-picture.js), null where this browser has no such thing; floating: it does; loudness:
 * 0..1, null where there is nothing to set; place: among so many places, from 0 on, of a wall whose
 * tiles can be moved.
 * @typedef {{name: string, picture: boolean, floats: boolean | null, floating: boolean, loudness:
 *             number | null, place: number, places: number}} MoreFacts
 */

/** @type {number} for ids */
let count = 0;

export class More {
  /**
   * @param {{onsave: () => void, onfloat: () => void, onloudness: (loudness: number, done: boolean)
   *          => void, onmove: (by: number) => void, onopen: () => void, onclose: () => void}}
   *          handlers onloudness: 0..1, many times while a finger is on it, and `done` when it is
   *          off; onmove: so many places back or on; onopen: it is shown, and wants to be
   *          refreshed; onclose: it is hidden
   */
  constructor(handlers) {
    this.handlers = handlers;
    count += 1;
    /** Goes into the caption. */
    this.button = button("tool more", icon("icon-more"));
    this.button.setAttribute("aria-expanded", "false");
    this.button.setAttribute("aria-controls", `more-${count}`);
    this.button.addEventListener("click", () => this.setOpen(!this.isOpen));
    this.save = this.row("icon-save", "Save the picture", () => handlers.onsave());
    this.float = this.row("icon-float", "Picture in picture", () => handlers.onfloat());
    this.range = part("input", "loudness");
    Object.assign(this.range, {
      type: "range",
      min: String(LEAST_LOUDNESS),
      max: "100",
      step: "5",
    });
    this.range.addEventListener("input", () => this.setLoudness(false));
    this.range.addEventListener("change", () => this.setLoudness(true));
    this.loudness = part("label", "more-row", icon("icon-sound"), this.range);
    this.earlier = this.row("icon-back", "Earlier", () => handlers.onmove(-1));
    this.later = this.row("icon-on", "Later", () => handlers.onmove(1));
    this.moves = part("div", "more-moves", this.earlier, this.later);
    this.words = part("p", "more-words");
    /** Goes into the tile, behind the caption. */
    this.panel = part(
      "div",
      "more-panel",
      this.words,
      this.save,
      this.float,
      this.loudness,
      this.moves,
    );
    this.panel.id = `more-${count}`;
    this.panel.setAttribute("role", "group");
    this.panel.hidden = true;
    /**
     * While it is open.
     * @type {[target: EventTarget, type: string, listener: (event: any) => void, capture:
     *   boolean][]}
     */
    this.listeners = [
      [document, "click", (event) => this.dismiss(event), true],
      [document, "keydown", (event) => this.key(event), false],
      [
        document,
        "keyup",
        ({ key }) => key === "Tab" && !this.holds(document.activeElement) && this.setOpen(false),
        false,
      ],
      [document, "scroll", () => this.settle(), true],
      [window, "resize", () => this.settle(), false],
    ];
  }

  /**
   * @param {string} symbol
   * @param {string} words
   * @param {() => void} action
   * @returns {HTMLButtonElement}
   */
  row(symbol, words, action) {
    const row = button("more-row", icon(symbol), part("span", "", words));
    // One that was disabled would lose the focus.
    row.addEventListener("click", () => row.getAttribute("aria-disabled") !== "true" && action());
    return row;
  }

  get isOpen() {
    return !this.panel.hidden;
  }

  /** @param {boolean} open */
  setOpen(open) {
    if (open === this.isOpen) return;
    const inside = this.panel.contains(document.activeElement);
    this.panel.hidden = !open;
    if (inside) this.button.focus();
    this.button.setAttribute("aria-expanded", String(open));
    for (const [target, type, listener, capture] of this.listeners) {
      if (open) target.addEventListener(type, listener, capture);
      else target.removeEventListener(type, listener, capture);
    }
    if (!open) return this.handlers.onclose();
    this.say("");
    this.handlers.onopen();
    this.settle();
  }

  /** @param {any} target @returns {boolean} */
  holds(target) {
    return this.panel.contains(target) || this.button.contains(target);
  }

  /** A tap elsewhere closes it; one on a picture does nothing else. @param {MouseEvent} event */
  dismiss(event) {
    const target = /** @type {Element} */ (event.target);
    if (this.holds(target) || !event.isTrusted) return; // what a script clicks is no tap
    this.setOpen(false);
    if (!target.closest(".view")) return;
    event.preventDefault();
    event.stopPropagation();
  }

  /** @param {KeyboardEvent} event */
  key(event) {
    if (event.key !== "Escape" || event.defaultPrevented) return;
    event.preventDefault(); // it closes this, and not the large view too
    this.setOpen(false);
  }

  /**
   * Puts the panel over its button, or beside it where there is no room, and all of it into the
   * window. It grows upwards, and stays when its tile is moved: so nothing moves under the finger.
   */
  settle() {
    const { style, offsetWidth: width, offsetHeight: height } = this.panel;
    const { left, right, top } = this.button.getBoundingClientRect();
    const over = top - GAP - height;
    const beside = over >= MARGIN ? right - width : left - GAP - width;
    style.left = `${Math.max(MARGIN, Math.min(innerWidth - MARGIN - width, beside))}px`;
    style.bottom = `${Math.max(MARGIN, Math.min(innerHeight - MARGIN - height, innerHeight - top + GAP))}px`;
  }

  /** @param {boolean} done */
  setLoudness(done) {
    this.range.setAttribute("aria-valuetext", `${this.range.value} %`);
    this.handlers.onloudness(this.range.value / 100, done);
  }

  /** What was done. @param {string} text */
  say(text) {
    setText(this.words, text);
  }

  /** @param {MoreFacts} facts */
  refresh({ name, picture, floats, floating, loudness, place, places }) {
    nameButton(this.button, `More for ${name}`);
    nameButton(this.save, `Save the picture of ${name}`);
    nameButton(this.float, `Picture in picture of ${name}`);
    nameButton(this.earlier, `Move ${name} earlier`);
    nameButton(this.later, `Move ${name} later`);
    if (!this.isOpen) return;
    setAttribute(this.panel, "aria-label", `More for ${name}`);
    setAttribute(this.save, "aria-disabled", String(!picture));
    this.float.hidden = floats === null;
    setAttribute(this.float, "aria-disabled", String(!floats && !floating));
    setAttribute(this.float, "aria-pressed", String(floating));
    this.loudness.hidden = loudness === null;
    setAttribute(this.range, "aria-label", `Loudness of ${name}`);
    if (loudness !== null && document.activeElement !== this.range) this.showLoudness(loudness);
    this.moves.hidden = places < 2;
    setAttribute(this.earlier, "aria-disabled", String(place === 0));
    setAttribute(this.later, "aria-disabled", String(place === places - 1));
  }

  /** @param {number} loudness 0..1 */
  showLoudness(loudness) {
    const value = String(Math.round(loudness * 100));
    if (this.range.value === value) return;
    this.range.value = value;
    this.range.setAttribute("aria-valuetext", `${value} %`);
  }

  /** The tile goes. */
  close() {
    this.setOpen(false);
  }
}
