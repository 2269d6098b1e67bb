// A bar that shows how loud a microphone is: its length says it, without any colour. An empty frame
// is silence, no frame is not knowing.
//
//   // a <span class="level"> of the page, or one of its own
//   const bar = new LevelBar(element);
//   // a few times a second; RMS 0..1; null where nobody can know it
//   bar.show(level, performance.now());

/**
 * Decibels below the loudest possible: what an empty bar and a full one stand for. A quiet room is
 * at -70 to -85, somebody who speaks in it at -40 to -20.
 */
const EMPTY = -100;
const FULL = -12;

/** The shortest bar there is, as a share: whatever is not silence can be seen. */
const LEAST = 0.08;

/**
 * By how much the bar falls at most from one look to the next, as a share, so that it does not
 * flicker. It rises at once.
 */
const FALL = 0.12;

/** The bar moves in so many steps: a smaller change is none. */
const STEPS = 24;

/**
 * Milliseconds for which it stands still where the person wants little motion; then it shows the
 * loudest of them.
 */
const CALM = 2000;

/** @param {number} level RMS 0..1 @returns {number} share of the bar */
export function shareOf(level) {
  if (!(level > 0)) return 0;
  const share = (20 * Math.log10(level) - EMPTY) / (FULL - EMPTY);
  return Math.min(1, Math.max(LEAST, share));
}

export class LevelBar {
  /** @param {HTMLElement} element an empty one */
  constructor(element = document.createElement("span")) {
    this.element = element;
    element.classList.add("level");
    element.setAttribute("aria-hidden", "true");
    element.hidden = true;
    this.filling = document.createElement("span");
    element.append(this.filling);
    this.shown = 0;
    /** What the style says, in steps. */
    this.step = -1;
    this.calm = matchMedia("(prefers-reduced-motion: reduce)");
    this.loudest = 0;
    this.changedAt = -Infinity;
  }

  /** @param {number | null} level @param {number} now ms */
  show(level, now) {
    const known = level !== null;
    if (this.element.hidden === known) {
      this.element.hidden = !known;
      this.shown = this.loudest = 0;
      this.changedAt = -Infinity;
    }
    if (level === null) return;
    const share = shareOf(level);
    if (this.calm.matches) {
      this.loudest = Math.max(this.loudest, share);
      if (now - this.changedAt < CALM) return;
      this.changedAt = now;
      this.shown = this.loudest;
      this.loudest = 0;
    } else this.shown = Math.max(share, this.shown - FALL);
    const step = Math.ceil(this.shown * STEPS);
    if (step === this.step) return;
    this.step = step;
    // Nothing else moves, and nothing is laid out again.
    this.filling.style.transform = `scaleX(${step / STEPS})`;
  }
}
