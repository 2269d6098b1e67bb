// The pad over a tile's picture with which a viewer turns the camera: arrows, straight ahead,
// nearer and farther, as far as the camera has said that it can (the relay's `turns`). A button of
// the caption opens it; in the large view it is open from the start.
//
//   const pad = new TurnPad("porch", { icon, send: (wish) => feed.send(wish) });
//   tools.append(pad.button); tile.append(pad.panel);
//   pad.update(message);     // the relay's `turns`
//   pad.refuse(text);        // its `refused`
//
// Wishes are places, not ways: each step is counted from where the last wish of this pad goes, or,
// when that is a while ago, from where the camera says that it stands.

import { nameButton } from "../../shared/page/named.js";

/**
 * Degrees of one step at the widest view, and the share of the range that a step is at most. Zoomed
 * in, a step is as much smaller.
 */
const STEP = 5;
const LARGEST_SHARE = 0.1;

/** Factor of one step nearer. */
const NEARER = 1.15;

/**
 * Milliseconds before a button that is held repeats, and between two repeats: the relay passes on
 * ten a second (docs/protocol.md).
 */
const HOLD = 400;
const REPEAT = 120;

/**
 * Milliseconds for which this pad's own wish is where the next step begins. The camera's answer
 * comes later than the next press.
 */
const OWN_WISH = 1500;

/** Milliseconds for which a refusal is read. */
const WORDS_FOR = 4000;

/** @typedef {import("../../shared/types.js").Axes} Axes */
/** @typedef {import("../../shared/types.js").Way} Way */

/**
 * What the buttons do. home: straight ahead.
 * @type {{id: string, label: string, symbol: string, key: string, way?: Way, sign: number, home?:
 *   boolean}[]}
 */
const BUTTONS = [
  { id: "up", label: "Turn up", symbol: "icon-back", key: "ArrowUp", way: "tilt", sign: 1 },
  { id: "left", label: "Turn left", symbol: "icon-back", key: "ArrowLeft", way: "pan", sign: -1 },
  { id: "home", label: "Straight ahead", symbol: "icon-ahead", key: "Home", sign: 0, home: true },
  { id: "right", label: "Turn right", symbol: "icon-back", key: "ArrowRight", way: "pan", sign: 1 },
  { id: "down", label: "Turn down", symbol: "icon-back", key: "ArrowDown", way: "tilt", sign: -1 },
  { id: "nearer", label: "Zoom in", symbol: "icon-add", key: "+", way: "zoom", sign: 1 },
  { id: "farther", label: "Zoom out", symbol: "icon-less", key: "-", way: "zoom", sign: -1 },
];

let count = 0;

export class TurnPad {
  /**
   * @param {string} name of the camera
   * @param {{icon: (symbol: string) => SVGSVGElement, send: (wish: {type: "orient", pan?: number,
   *          tilt?: number, zoom?: number}) => void}} tile
   *     icon: makes one of the page's symbols; send: a wish for the relay
   */
  constructor(name, { icon, send }) {
    this.send = send;
    /** @type {Axes} */
    this.axes = {};
    /**
     * Where this pad's last wish goes, and when that was (performance.now()).
     * @type {Partial<Record<Way, number>>}
     */
    this.goal = {};
    this.wishedAt = -Infinity;
    this.open = false;
    this.timer = 0;
    this.wordsTimer = 0;
    /**
     * The button that is held, whose click is not one more step.
     * @type {HTMLButtonElement | null}
     */
    this.held = null;
    count += 1;
    const id = `pad-${count}`;
    /** Goes into the caption. @type {HTMLButtonElement} */
    this.button = document.createElement("button");
    this.button.type = "button";
    this.button.className = "tool turn";
    nameButton(this.button, `Turn ${name}`);
    this.button.setAttribute("aria-controls", id);
    this.button.append(icon("icon-turn"));
    this.button.addEventListener("click", () => this.setOpen(!this.open));
    /** Goes over the picture. */
    this.panel = document.createElement("div");
    this.panel.className = "pad";
    this.panel.id = id;
    this.panel.setAttribute("role", "group");
    this.panel.setAttribute("aria-label", `Turn ${name}`);
    this.words = document.createElement("p");
    this.words.className = "pad-words";
    this.words.setAttribute("role", "status");
    this.turn = document.createElement("div");
    this.turn.className = "pad-turn";
    this.zoom = document.createElement("div");
    this.zoom.className = "pad-zoom";
    /** @type {Map<string, HTMLButtonElement>} */
    this.buttons = new Map();
    for (const action of BUTTONS) {
      const button = document.createElement("button");
      button.type = "button";
      button.className = `tool pad-${action.id}`;
      nameButton(button, action.label);
      button.append(icon(action.symbol));
      this.makeHeld(button, action);
      this.buttons.set(action.id, button);
      (action.way === "zoom" ? this.zoom : this.turn).append(button);
    }
    const buttons = document.createElement("div");
    buttons.className = "pad-buttons";
    buttons.append(this.turn, this.zoom);
    this.panel.append(this.words, buttons);
    this.onblur = () => this.release();
    addEventListener("blur", this.onblur);
    this.show();
  }

  close() {
    removeEventListener("blur", this.onblur);
    this.release();
    clearTimeout(this.wordsTimer);
  }

  /** @param {Axes} axes as the camera says */
  update({ pan, tilt, zoom }) {
    this.axes = { ...(pan && { pan }), ...(tilt && { tilt }), ...(zoom && { zoom }) };
    this.show();
  }

  /** @param {boolean} open */
  setOpen(open) {
    this.open = open;
    this.show();
  }

  /** The last wish was not obeyed. @param {string} text */
  refuse(text) {
    this.wishedAt = -Infinity; // the next step begins where the camera stands
    this.words.textContent = text;
    clearTimeout(this.wordsTimer);
    this.wordsTimer = setTimeout(() => (this.words.textContent = ""), WORDS_FOR);
  }

  /** A key that was pressed while the tile has the focus. @param {KeyboardEvent} event */
  key(event) {
    const action = BUTTONS.find(({ key }) => key === event.key);
    if (!action || this.panel.hidden || event.altKey || event.ctrlKey || event.metaKey) return;
    if (action.way ? !this.axes[action.way] : !this.axes.pan && !this.axes.tilt) return;
    event.preventDefault(); // else the wall would scroll
    if (!event.repeat || performance.now() - this.wishedAt >= REPEAT) this.step(action);
  }

  // --- inside ---

  show() {
    const { pan, tilt, zoom } = this.axes;
    const able = Boolean(pan || tilt || zoom);
    this.button.hidden = !able;
    this.button.setAttribute("aria-expanded", String(this.open));
    this.panel.hidden = !(able && this.open);
    this.turn.hidden = !pan && !tilt;
    this.zoom.hidden = !zoom;
    for (const { id, way } of BUTTONS) {
      if (way) /** @type {HTMLButtonElement} */ (this.buttons.get(id)).hidden = !this.axes[way];
    }
    if (this.panel.hidden) this.release();
    this.markEnds();
  }

  /**
   * A button that leads nowhere is dim. It stays a button: one that was disabled would lose the
   * focus.
   */
  markEnds() {
    for (const action of BUTTONS) {
      const ended = Object.keys(this.wish(action)).length === 0;
      /** @type {HTMLButtonElement} */ (this.buttons.get(action.id)).setAttribute(
        "aria-disabled",
        String(ended),
      );
    }
  }

  /** @param {HTMLButtonElement} button @param {typeof BUTTONS[0]} action */
  makeHeld(button, action) {
    button.addEventListener("pointerdown", (event) => {
      if (event.button !== 0) return;
      this.release();
      this.held = button;
      button.setPointerCapture(event.pointerId);
      this.step(action);
      if (!action.home) this.timer = setTimeout(() => this.repeat(action), HOLD);
    });
    for (const end of ["pointerup", "pointercancel", "lostpointercapture"])
      button.addEventListener(end, () => this.release());
    button.addEventListener("pointercancel", () => {
      this.held = null; // no click follows
    });
    // Enter, Space and screen readers click without a pointer.
    button.addEventListener("click", () => {
      if (this.held !== button) this.step(action);
      this.held = null;
    });
    // A finger that is held.
    button.addEventListener("contextmenu", (event) => event.preventDefault());
  }

  /** @param {typeof BUTTONS[0]} action */
  repeat(action) {
    this.step(action);
    this.timer = setTimeout(() => this.repeat(action), REPEAT);
  }

  release() {
    clearTimeout(this.timer);
  }

  /** @param {typeof BUTTONS[0]} action */
  step(action) {
    const wish = this.wish(action);
    if (Object.keys(wish).length === 0) return;
    const own = performance.now() - this.wishedAt < OWN_WISH;
    this.goal = own ? { ...this.goal, ...wish } : wish;
    this.wishedAt = performance.now();
    this.send({ type: "orient", ...wish });
    this.markEnds();
  }

  /**
   * Where a button leads from here.
   * @param {typeof BUTTONS[0]} action
   * @returns {Partial<Record<Way, number>>} empty: nowhere
   */
  wish({ way, sign, home }) {
    /** @type {Partial<Record<Way, number>>} */
    const wish = {};
    for (const one of /** @type {Way[]} */ (home ? ["pan", "tilt"] : [way])) {
      const axis = this.axes[one];
      if (!axis) continue;
      const here = this.place(one);
      const there = home
        ? 0
        : one === "zoom"
          ? nearer(axis, here, sign)
          : here + sign * stepOf(axis, this.place("zoom"));
      const goal = within(axis, there);
      if (goal !== here || (home && axis.now === undefined)) wish[one] = goal;
    }
    return wish;
  }

  /** Where a step begins. @param {Way} way @returns {number} */
  place(way) {
    const axis = this.axes[way];
    const straight = way === "zoom" ? 1 : 0;
    if (!axis) return straight;
    const goal = performance.now() - this.wishedAt < OWN_WISH ? this.goal[way] : undefined;
    return within(axis, goal !== undefined ? goal : axis.now !== undefined ? axis.now : straight);
  }
}

/** @param {import("../../shared/types.js").Axis} axis @param {number} value */
function within({ min, max }, value) {
  return Math.min(max, Math.max(min, value));
}

/**
 * @param {import("../../shared/types.js").Axis} axis
 * @param {number} zoom
 * @returns {number} degrees
 */
function stepOf({ min, max, step = 0 }, zoom) {
  const wanted = Math.min(STEP, (max - min) * LARGEST_SHARE) / Math.max(1, zoom);
  return step > 0 ? Math.max(1, Math.round(wanted / step)) * step : wanted;
}

/**
 * The factor one step nearer, or farther.
 * @param {import("../../shared/types.js").Axis} axis
 * @param {number} here
 * @param {number} sign
 */
function nearer({ step = 0 }, here, sign) {
  const there = sign > 0 ? here * NEARER : here / NEARER;
  return Math.abs(there - here) < step ? here + sign * step : there;
}
