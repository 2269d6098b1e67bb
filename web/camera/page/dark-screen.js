// A screen that is on and shows nothing: for a phone that films at night, or whose screen would
// burn in. One dim line moves about.

import { cover } from "../../shared/page/inert.js";

/** Milliseconds between two moves of the text, and the places it moves between (camera.css). */
const MOVE = 60000;
const PLACES = 4;

export class DarkScreen {
  /**
   * @param {{sheet: HTMLElement, screen: HTMLElement, text: HTMLElement, under: HTMLElement}} parts
   *   screen: a button in the sheet
   * @param {() => void} onleave it is light again
   */
  constructor({ sheet, screen, text, under }, onleave) {
    this.sheet = sheet;
    this.screen = screen;
    this.under = under;
    this.text = text;
    this.onleave = onleave;
    this.timer = 0;
    screen.addEventListener("click", () => this.leave());
    addEventListener("keydown", (event) => {
      if (event.key === "Escape") this.leave();
    });
  }

  enter() {
    this.sheet.hidden = this.screen.hidden = false;
    cover(this.under, this.screen);
    this.screen.focus();
    this.timer = setInterval(() => {
      this.text.dataset.corner = String((Number(this.text.dataset.corner) + 1) % PLACES);
    }, MOVE);
    const root = document.documentElement;
    // The browser's bars shine too.
    if (root.requestFullscreen)
      root.requestFullscreen({ navigationUI: "hide" }).catch(() => undefined);
  }

  leave() {
    if (this.screen.hidden) return;
    clearInterval(this.timer);
    this.sheet.hidden = this.screen.hidden = true;
    cover(this.under, null);
    if (document.fullscreenElement) document.exitFullscreen().catch(() => undefined);
    this.onleave();
  }
}
