// Tries again for what can pass by itself.

/** Milliseconds before the first, and at most before any, new try to get a lost device. */
const FIRST_DELAY = 500;
const LONGEST_DELAY = 8000;

/** Calls a function again and again with back-off until it is told to stop. */
export class Retry {
  /** @param {() => void} action */
  constructor(action) {
    this.action = action;
    this.tries = 0;
    this.timer = 0;
  }

  later() {
    this.cancel();
    const delay = Math.min(LONGEST_DELAY, FIRST_DELAY * 2 ** this.tries);
    this.tries += 1;
    this.timer = setTimeout(this.action, delay);
  }

  /** Whatever comes next, the pauses go on growing. */
  cancel() {
    clearTimeout(this.timer);
  }

  /** All is well, or a person is there: the next pause is a short one. */
  stop() {
    this.cancel();
    this.tries = 0;
  }
}
