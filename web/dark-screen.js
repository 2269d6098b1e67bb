// A screen that is on and shows nothing: for a phone that films at night, or whose screen would burn in. One dim line moves about.

/** Milliseconds between two moves of the text, and the places it moves between (camera.css). */
const MOVE = 60000;
const PLACES = 4;

export class DarkScreen {
  /** @param {{screen: HTMLElement, text: HTMLElement}} parts @param {() => void} onleave it is light again */
  constructor({ screen, text }, onleave) {
    this.screen = screen;
    this.text = text;
    this.onleave = onleave;
    this.timer = 0;
    screen.addEventListener("click", () => this.leave());
    addEventListener("keydown", (event) => {
      if (event.key === "Escape") this.leave();
    });
  }

  enter() {
    this.screen.hidden = false;
    this.screen.focus();
    this.timer = setInterval(() => {
      this.text.dataset.corner = String((Number(this.text.dataset.corner) + 1) % PLACES);
    }, MOVE);
    const root = document.documentElement;
    if (root.requestFullscreen) root.requestFullscreen({ navigationUI: "hide" }).catch(() => undefined); // the browser's bars shine too
  }

  leave() {
    if (this.screen.hidden) return;
    clearInterval(this.timer);
    this.screen.hidden = true;
    if (document.fullscreenElement) document.exitFullscreen().catch(() => undefined);
    this.onleave();
  }
}
