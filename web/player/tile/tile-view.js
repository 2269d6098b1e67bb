// What a tile consists of on the page: the picture as a button, what the camera is called, its
// state and one sentence, and its tools.
//
//   const view = new TileView("porch", { soundControl, departure, pad, details, more }, handlers);
//   wall.append(view.element);
//   view.showState("live", "Live", "");

import { button, icon, part, setIcon, setText } from "../../shared/page/elements.js";
import { called, calledInText } from "./called.js";
import { nameButton } from "../../shared/page/named.js";

/** Parts with a life of their own.
 *  @typedef {{soundControl: import("./sound-control.js").SoundControl,
 *            departure: import("./departure.js").Departure,
 *            pad: import("./pan-tilt-pad.js").TurnPad, details:
 *            import("./delay-details.js").Details,
 *            more: import("./more.js").More}} Parts */

export class TileView {
  /**
   * @param {string} name of the camera
   * @param {Parts} parts
   * @param {{ontap: () => void, onback: () => void, onrefused: () => void}} handlers ontap: the
   *        picture was tapped; onback: the way out of the large view was; onrefused: the browser
   *        fills the screen with nothing now
   */
  constructor(name, parts, handlers) {
    this.name = name;
    this.parts = parts;
    this.handlers = handlers;
    /** What people call it, for a sentence. */
    this.called = "";
    /** The part that had the focus at the last look. @type {Element | null} */
    this.focused = null;
    this.picture = part("span", "picture");
    this.view = part("button", "view", this.picture);
    this.view.type = "button";
    this.view.addEventListener("click", () => handlers.ontap());
    this.labelText = part("bdi", "");
    this.nameBeside = part("span", "beside");
    this.label = part("span", "name", this.labelText, this.nameBeside);
    this.label.setAttribute("role", "heading");
    this.status = part("span", "status");
    this.slow = part("span", "slow");
    this.slow.hidden = true;
    this.slow.title = "Pictures are left out, so that those that come are of now.";
    this.notice = part("p", "notice");
    this.fullscreenIcon = icon("icon-fill");
    this.fullscreen = tool(this.fullscreenIcon, () => this.toggleFullscreen());
    this.back = tool(icon("icon-back"), () => handlers.onback());
    nameButton(this.back, "Back to all cameras");
    this.back.classList.add("back");
    this.element = this._assemble();
    this.setLarge(false, false);
    this.showCalled();
  }

  /** @returns {HTMLElement & {webkitRequestFullscreen?: () => Promise<void>}} */
  _assemble() {
    const { soundControl, departure, pad, details, more } = this.parts;
    const { none, button: sound, words } = soundControl;
    const tools = [departure.button, pad.button, none, sound, this.fullscreen, more.button];
    const plate = part("div", "plate", this.label, this.status, details.button, this.slow);
    const bar = part("div", "tools", ...tools);
    const caption = part("div", "caption", words, part("div", "words", plate), bar);
    const shelf = part("div", "shelf", details.panel, pad.panel);
    const deck = part("div", "deck", this.notice, shelf, caption);
    const element = part("section", "tile", this.view, this.back, deck, more.panel);
    element.addEventListener("keydown", (/** @type {KeyboardEvent} */ event) => pad.key(event));
    element.dataset.camera = this.name;
    return element;
  }

  /** How much room there is: for few words, or for short sentences. */
  get room() {
    const { classList } = this.element;
    const small = classList.contains("small");
    return { small, short: small || classList.contains("narrow") };
  }

  /** @param {boolean} large whether this tile fills the window
   *  @param {boolean} alone whether there is a wall to go back to */
  setLarge(large, alone) {
    const { pad, more } = this.parts;
    if (this.element.classList.contains("large") !== large) {
      pad.setOpen(large);
      more.setOpen(false);
    }
    this.element.classList.toggle("large", large);
    this.back.hidden = !large || alone;
    // The page's own heading is not seen then.
    this.label.setAttribute("aria-level", large && !alone ? "1" : "2");
    const page = /** @type {any} */ (document);
    const able = document.fullscreenEnabled || page.webkitFullscreenEnabled;
    this.fullscreen.hidden = !large || !able;
    this._nameView();
    if (!large && this.isFullscreen()) this.toggleFullscreen();
  }

  _nameView() {
    const large = this.element.classList.contains("large");
    const what = !large ? "show large" : this.back.hidden ? "" : "back to all cameras";
    this.view.setAttribute("aria-label", what ? `${this.called}: ${what}` : this.called);
  }

  /** What this camera is called may be told later, and be the same as of one that comes later. */
  showCalled() {
    const text = calledInText(this.name);
    if (text === this.called) return;
    this.called = text;
    const { soundControl, departure, pad, details } = this.parts;
    const { label, beside } = called(this.name);
    this.labelText.textContent = label;
    this.nameBeside.textContent = beside;
    this.element.setAttribute("aria-label", `Camera ${text}`);
    this._nameView();
    soundControl.name = text;
    nameButton(pad.button, `Turn ${text}`);
    pad.panel.setAttribute("aria-label", `Turn ${text}`);
    nameButton(departure.button, `Put away ${text}`);
    details.name(text);
  }

  isFullscreen() {
    const page = /** @type {any} */ (document);
    return (page.fullscreenElement || page.webkitFullscreenElement) === this.element;
  }

  toggleFullscreen() {
    const page = /** @type {any} */ (document);
    const { element } = this;
    const done = this.isFullscreen()
      ? (page.exitFullscreen || page.webkitExitFullscreen).call(page)
      : (element.requestFullscreen || element.webkitRequestFullscreen).call(element);
    if (done) done.catch(() => this.handlers.onrefused()); // the button goes on saying what is
  }

  /** @param {string} state data-state @param {string} word for it
   *  @param {string} sentence over the picture, "" for none */
  showState(state, word, sentence) {
    const { dataset } = this.element;
    if (dataset.state !== state) dataset.state = this.status.dataset.state = state;
    setText(this.status, word);
    setText(this.notice, sentence);
    this.notice.hidden = sentence === "";
  }

  /** @param {boolean} slow whether pictures are left out
   *  @param {boolean} busy whether this device does not keep up: else the network does not */
  showSlow(slow, busy) {
    this.slow.hidden = !slow;
    setText(this.slow, busy ? "slow device" : "slow network");
    this.element.dataset.slow = String(slow);
  }

  showFullscreen() {
    const full = this.isFullscreen();
    setIcon(this.fullscreenIcon, full ? "icon-shrink" : "icon-fill");
    nameButton(this.fullscreen, full ? "Leave full screen" : "Full screen");
  }

  /** For pictures that are turned (pose.js): CSS alone cannot make something as wide as another
   *  thing is high. @param {number} width @param {number} height pixels */
  setPictureSize(width, height) {
    this.picture.style.setProperty("--width", `${width}px`);
    this.picture.style.setProperty("--height", `${height}px`);
  }

  /** The picture gets the focus, and comes into sight. */
  focus() {
    this.view.focus();
  }

  /** A part that is hidden loses the focus: then the picture has it. */
  keepFocus() {
    const { activeElement, body } = document;
    const inside = this.element.contains(activeElement);
    if (inside) this.focused = activeElement;
    const hidden = this.focused !== null && this.focused.getClientRects().length === 0;
    const free = inside || activeElement === body;
    if (hidden && !this.element.hidden && free) this.view.focus({ preventScroll: true });
    else if (!inside) this.focused = null;
  }
}

/** @param {SVGSVGElement} symbol @param {() => void} action @returns {HTMLButtonElement} */
function tool(symbol, action) {
  const made = button("tool", symbol);
  made.addEventListener("click", action);
  return made;
}
