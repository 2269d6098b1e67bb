// The delay of a tile's pictures: a number in its caption, and behind it what the delay is made of,
// in words.

/**
 * Numbers of which the middle one is shown: two seconds of them. One alone jumps too much to be
 * read.
 */
const KEPT = 8;

/** Milliseconds between two changes of what is shown. */
const CHANGE = 1000;

/** Milliseconds from which a delay is coloured: somebody in the picture has moved on. */
const LATE = 500;

/**
 * The way of a picture from the lens to the screen: ms in each part, null where it is not known.
 * uplink, relay: docs/protocol.md, "The way of a picture"; downlink: to this browser; decode: with
 * "mse" also the wait in its buffer; screen: until it is seen.
 * @typedef {{encode: number | null, uplink: number | null, relay: number | null, downlink: number |
 *             null, decode: number | null, screen: number | null}} Parts
 */

/**
 * Everything that a bench wants to know of a tile. delay: ms from the lens to the screen; pace: ms
 * from one picture of the camera to the next; opened: ms since the epoch, of the socket; drops:
 * frames that the relay has left out.
 * @typedef {import("../../shared/types.js").EngineStats & {engine: string, surface: string, opened:
 *            number, delay: number | null, pace: number | null, parts: Parts, drops: number, size:
 *            {width: number, height: number}, transport:
 *            import("../../shared/relay/relay-link.js").Transport, sound:
 *            import("../sound/sound.js").Stats & {state: import("../sound/sound.js").SoundState}}}
 *            TileStats
 */

/** The parts of a delay, in the order of the way. @type {(keyof Parts)[]} */
const PARTS = ["encode", "uplink", "relay", "downlink", "decode", "screen"];

/** Milliseconds from one picture to the next from which on pictures are not counted in a second. */
const SLOW = 1000;

/** What the engines are in words. */
const ENGINES = /** @type {Record<string, string>} */ ({
  frames: "WebCodecs",
  mse: "MediaSource",
  jpeg: "single pictures",
});

let count = 0;

/** @param {number} ms @returns {string} */
function time(ms) {
  if (ms < 0.05) return "0 ms";
  if (ms < 0.95) return `${ms.toFixed(1)} ms`;
  return ms < 9950 ? `${Math.round(ms)} ms` : `${(ms / 1000).toFixed(0)} s`;
}

/** The middle one of the last few numbers. */
class Steady {
  constructor() {
    /** @type {number[]} */
    this.values = [];
  }

  /** @param {number | null} value null: not known now @returns {number | null} */
  next(value) {
    if (value === null) this.values = [];
    else this.values.push(value);
    if (this.values.length > KEPT) this.values.shift();
    return this.values.length === 0
      ? null
      : this.values.slice().sort((a, b) => a - b)[this.values.length >> 1];
  }
}

/** What is said of what, line by line. */
class Lines {
  constructor() {
    this.element = document.createElement("dl");
    /** @type {{line: HTMLElement, word: HTMLElement, value: HTMLElement}[]} */
    this.lines = [];
  }

  /** @param {[string, string][]} sentences */
  say(sentences) {
    while (this.lines.length < sentences.length) this.add();
    this.lines.forEach(({ line, word, value }, index) => {
      line.hidden = index >= sentences.length;
      if (line.hidden) return;
      [word.textContent, value.textContent] = sentences[index];
    });
  }

  add() {
    const line = document.createElement("div");
    const word = document.createElement("dt");
    const value = document.createElement("dd");
    line.append(word, value);
    this.element.append(line);
    this.lines.push({ line, word, value });
  }
}

export class Details {
  /** @param {string} name of the camera */
  constructor(name) {
    count += 1;
    this.number = document.createElement("span");
    this.rest = document.createElement("span");
    this.rest.className = "unseen";
    /** Goes into the caption. */
    this.button = document.createElement("button");
    this.button.type = "button";
    this.button.className = "delay";
    this.button.hidden = true;
    this.button.append(this.number, this.rest);
    this.button.setAttribute("aria-expanded", "false");
    this.button.setAttribute("aria-controls", `details-${count}`);
    this.button.addEventListener("click", () => this.toggle());
    /** Goes over the picture. */
    this.panel = document.createElement("div");
    this.panel.className = "details";
    this.panel.id = `details-${count}`;
    this.panel.hidden = true;
    this.panel.setAttribute("role", "group");
    this.panel.tabIndex = 0; // it may have to be scrolled by the keyboard
    this.list = new Lines();
    /** What engineers want to know. */
    this.more = new Lines();
    const fold = document.createElement("details");
    const summary = document.createElement("summary");
    summary.textContent = "Details";
    fold.append(summary, this.more.element);
    this.panel.append(this.list.element, fold);
    // Its lines come and go, and its tile has another height.
    this.measure = new ResizeObserver(() => this.fit());
    for (const element of [this.panel, this.list.element, fold]) this.measure.observe(element);
    this.name(name);
    this.delay = new Steady();
    this.parts = PARTS.map(() => new Steady());
    this.rate = new Steady();
    this.counted = { at: 0, shown: 0 };
    this.changedAt = 0;
    this.onkey = (/** @type {KeyboardEvent} */ event) => {
      if (event.key !== "Escape" || event.defaultPrevented) return;
      event.preventDefault(); // it closes this, and not the large view too
      this.toggle();
      if (this.panel.contains(document.activeElement)) this.button.focus();
    };
  }

  /** @param {string} called what people call the camera */
  name(called) {
    this.rest.textContent = ` delay of ${called}: what it is made of`;
    this.panel.setAttribute("aria-label", `Delay of ${called}`);
  }

  get isOpen() {
    return !this.panel.hidden;
  }

  toggle() {
    this.panel.hidden = this.isOpen;
    this.button.setAttribute("aria-expanded", String(this.isOpen));
    this.changedAt = 0;
    if (this.isOpen) document.addEventListener("keydown", this.onkey);
    else document.removeEventListener("keydown", this.onkey);
  }

  /**
   * Four times a second; what is shown changes less often.
   * @param {TileStats} stats @param {boolean} live whether the pictures are of now
   */
  update(stats, live) {
    const delay = this.delay.next(live ? stats.delay : null);
    const parts = PARTS.map((part, index) => this.parts[index].next(stats.parts[part]));
    const now = performance.now();
    // What somebody reads stays, whatever happens to the picture.
    const told = delay !== null || this.isOpen;
    if (told && !this.button.hidden && now - this.changedAt < CHANGE) return;
    this.changedAt = now;
    this.button.hidden = !told;
    this.button.classList.toggle("late", delay !== null && delay > LATE);
    if (!told) return;
    this.number.textContent = delay === null ? "no delay known" : time(delay);
    const rate = this.rate.next(this.count(stats.shown, now));
    if (!this.isOpen) return;
    this.list.say(this.sentences(stats, delay, parts, rate));
    const { engine, surface, dropped, drops, transport } = stats;
    /** @type {[string, string][]} */
    const lines = [["Left out", `${dropped} here, ${drops} at the relay`]];
    lines.push(["Shown by", (ENGINES[engine] || "nothing now") + (surface ? `, ${surface}` : "")]);
    // Whether it was refused, swallowed on the way or only too slow, nobody here knows.
    if (transport === "http") lines.push(["Comes by", "requests: no WebSocket opened"]);
    this.more.say(lines);
  }

  /**
   * Where no more is missing than its padding, it does without that: nobody should have to scroll
   * by a pixel.
   */
  fit() {
    const { panel } = this;
    panel.classList.remove("tight");
    const missing = panel.scrollHeight - panel.clientHeight;
    if (missing <= 0) return;
    const { paddingTop, paddingBottom } = getComputedStyle(panel);
    panel.classList.toggle("tight", missing <= parseFloat(paddingTop) + parseFloat(paddingBottom));
  }

  /**
   * @param {TileStats} stats @param {number | null} delay ms @param {(number | null)[]} parts ms
   * @param {number | null} rate pictures a second
   * @returns {[string, string][]} what is said of what
   */
  sentences({ engine, pace, size, sound, transport }, delay, parts, rate) {
    const buffers = engine === "mse";
    const words = [
      "Camera encodes",
      parts[0] === null ? "Camera, to the relay" : "To the relay",
      "In the relay",
      "To this browser",
    ];
    words.push(buffers ? "Buffer, decoding" : "Decoding", "To the screen");
    /** @type {[string, string][]} */
    const lines = [["Lens to screen", delay === null ? "not known now" : time(delay)]];
    parts.forEach((part, index) => {
      if (part !== null) lines.push([words[index], time(part)]);
    });
    if (sound.state === "on" && sound.delayMs !== null)
      lines.push(["Sound", time(sound.delayMs)], ["Nothing heard?", "turn this device up"]);
    const often =
      pace !== null && pace > SLOW
        ? `, one in ${Number((pace / 1000).toFixed(1))} s`
        : rate === null
          ? ""
          : `, ${Math.round(rate)} a second`;
    lines.push(["Picture", `${size.width} × ${size.height}${often}`]);
    if (transport === "http") lines.push(["Connection", "the slower way"]);
    return lines;
  }

  /**
   * @param {number} shown pictures so far
   * @param {number} now ms
   * @returns {number | null} pictures a second since the last time
   */
  count(shown, now) {
    const { at, shown: before } = this.counted;
    this.counted = { at: now, shown };
    return at === 0 || shown < before ? null : ((shown - before) * 1000) / (now - at);
  }

  /** The tile goes. */
  close() {
    if (this.isOpen) this.toggle();
    this.measure.disconnect();
  }
}
