// Whether anybody takes what comes from a camera. Soon after nobody does, it rests.

/** Milliseconds for which a tile goes on that nobody sees: one that is scrolled out and in, or
 *  behind another tab for a moment, loses nothing. As long it waits after the last sound. */
const GRACE = 2000;

export class Attention {
  /** @param {() => void} onrest nobody takes it any more */
  constructor(onrest) {
    this.onrest = onrest;
    this.watched = true;
    this.timer = 0;
  }

  /** Somebody looks. @returns {boolean} whether nobody did until now */
  begin() {
    clearTimeout(this.timer);
    const rested = !this.watched;
    this.watched = true;
    return rested;
  }

  /** Nobody looks now, or nobody listens any more: but perhaps in a moment. */
  end() {
    clearTimeout(this.timer);
    this.timer = setTimeout(() => {
      this.watched = false;
      this.onrest();
    }, GRACE);
  }

  close() {
    clearTimeout(this.timer);
  }
}
