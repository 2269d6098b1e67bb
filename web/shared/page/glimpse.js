// What holds a key is shown for a moment: a minute, and no longer than the page is seen. Who passes
// by later, or looks at the list of open apps, sees none.
//
//   const glimpse = new Glimpse((seen) => { image.hidden = !seen; });
//   button.addEventListener("click", () => glimpse.begin());

/** Milliseconds: time to take another phone out of the pocket, and to point it here. */
const LONGEST = 60000;

export class Glimpse {
  /**
   * @param {(seen: boolean) => void} onchange what it shows appears, or is to be taken out of the
   *   page
   */
  constructor(onchange) {
    this.onchange = onchange;
    this.timer = 0;
    document.addEventListener("visibilitychange", () => {
      if (document.visibilityState !== "visible") this.end();
    });
    // The browser may keep the page, and show it again.
    addEventListener("pagehide", () => this.end());
  }

  get seen() {
    return this.timer !== 0;
  }

  /** It is seen from now on, as long as that is. */
  begin() {
    if (document.visibilityState !== "visible") return; // it has gone while the relay was asked
    clearTimeout(this.timer);
    this.timer = setTimeout(() => this.end(), LONGEST);
    this.onchange(true);
  }

  end() {
    if (!this.seen) return;
    clearTimeout(this.timer);
    this.timer = 0;
    this.onchange(false);
  }
}
