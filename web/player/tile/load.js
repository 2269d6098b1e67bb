// Whether this device keeps up with what it shows: a page whose timers come late is busy, and what
// it misses is not the network's fault.
//
//   device.isBusy       // of the last seconds it was too busy in a large part
//
// What it hears of the relay comes late then, too, and frames that it does not take in time are
// left out.

/** Milliseconds between two looks. */
const LOOK = 250;

/**
 * Milliseconds over which its lateness is added up, and how much of them makes it busy: two fifths,
 * while a page that shows some cameras on a usual computer is late by some hundredths.
 */
const WINDOW = 5000;
const BUSY = 2000;

/** Milliseconds between two looks above which the device has slept, or the page was frozen. */
const SLEPT = 20000;

export class Load {
  /** @param {() => number} [clock] ms; for tests */
  constructor(clock = () => performance.now()) {
    this.clock = clock;
    this.lookedAt = clock();
    /** By how much the last looks were late. @type {{at: number, late: number}[]} */
    this.looks = [];
  }

  /**
   * To be called every LOOK ms, as far as the page gets to it.
   * @param {boolean} seen a hidden page's timers are held back on purpose
   */
  look(seen) {
    const now = this.clock();
    const late = now - this.lookedAt - LOOK;
    this.lookedAt = now;
    if (!seen || late > SLEPT) this.looks = [];
    else if (late > 0) this.looks.push({ at: now, late });
  }

  get isBusy() {
    const now = this.clock();
    this.looks = this.looks.filter(({ at }) => now - at < WINDOW);
    // A look that is still to come is late already: what asks may come before it.
    const due = Math.max(0, now - this.lookedAt - LOOK);
    return this.looks.reduce((sum, { late }) => sum + late, due > SLEPT ? 0 : due) >= BUSY;
  }
}

/** This page. */
export const device = new Load();

setInterval(() => device.look(document.visibilityState === "visible"), LOOK);
