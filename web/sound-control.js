// What a tile shows of its camera's sound, and where a person switches it on: a button with a bar of how loud it is, a word in its place
// where the camera has no sound, and a sentence over the caption when something keeps the sound away, whether it is switched on or not.
//
//   const control = new SoundControl("porch", sound, { icon, ontoggle() {}, announce(text) {} });
//   tools.append(control.button, control.none); caption.prepend(control.words);
//   control.refresh({ microphone, level, live, drawn, now });     // at every change, and by the clock
//
// How loud it is comes from what is played (sound.js), and while nothing is played from the camera itself, which tells it the relay
// (docs/protocol.md, "Sound"): so it is known in every browser, costs no decoding, and no message of its own.

import { LevelBar } from "./level-bar.js";

/** A camera's sound comes a moment after its picture (ms); only then it is said that there is none. */
const SOUND_DUE = 3000;

/** What the camera says of its microphone, in words. @type {Record<string, string>} */
const MICROPHONE = {
  muted: "No sound: a call or the system has taken its microphone.",
  silent: "No sound: its microphone gives only silence.",
  refused: "No sound: it may not use its microphone.",
  missing: "No sound: it has no microphone.",
  busy: "No sound: another app has its microphone.",
  failed: "No sound: its browser cannot send it.",
  slow: "No sound: its network is too slow.",
};

/** What a person has to do where the browser plays nothing without. */
const TAP = "Tap for the sound.";

/** Those that a person has wished for, or knows of: they are said in full only where somebody wants to listen. */
const KNOWN = ["off", "missing"];

/** @typedef {{microphone: string, level: number | null, live: boolean, drawn: boolean, now: number}} Facts
 *  microphone: what the camera says of it, "" for nothing; level: what it says that it hears, RMS 0..1, or null; live: it films, and the
 *  relay is there; drawn: somebody can see this; now: ms of performance.now() */

/** @param {Element} element @param {string} attribute @param {string} value changed only when it differs */
function set(element, attribute, value) {
  if (element.getAttribute(attribute) !== value) element.setAttribute(attribute, value);
}

export class SoundControl {
  /**
   * @param {string} name of the camera
   * @param {import("./sound.js").Sound} sound
   * @param {{icon: (symbol: string) => SVGSVGElement, setIcon: (svg: SVGSVGElement, symbol: string) => void,
   *          ontoggle: (on: boolean) => void, announce: (text: string) => void}} tile
   *        icon, setIcon: make and change a symbol of the page; ontoggle: a person has switched it; announce: for a screen reader
   */
  constructor(name, sound, { icon, setIcon, ontoggle, announce }) {
    this.name = name;
    this.sound = sound;
    this.setIcon = setIcon;
    this.ontoggle = ontoggle;
    this.announce = announce;
    this.bar = new LevelBar();
    this.icon = icon("icon-silent");
    /** Goes into the caption. @type {HTMLButtonElement} */
    this.button = document.createElement("button");
    this.button.type = "button";
    this.button.className = "tool";
    this.button.append(this.icon, this.bar.element);
    this.button.addEventListener("click", () => this.toggle());
    /** Stands where the button would be. */
    this.none = document.createElement("span");
    this.none.className = "no-sound";
    this.none.textContent = "No sound";
    this.none.hidden = true;
    /** Goes over the caption. */
    this.words = document.createElement("p");
    this.words.className = "sound-words";
    this.words.hidden = true;
    this.sentences = document.createElement("span");
    this.words.append(this.sentences);
    /** Why there is no sound, in one word: what the camera says, or "nothing", "zeros", "unplayable", "none"; "" where all is well. */
    this.trouble = "";
    this.said = this.why = ""; // what stands there, and the part of it that is the reason
    this.liveSince = 0; // ms; 0: it is not
  }

  toggle() {
    const on = this.sound.state !== "on";
    if (on) this.sound.turnOn();
    else this.sound.turnOff();
    this.ontoggle(on);
  }

  /** @param {Facts} facts */
  refresh(facts) {
    const { sound } = this;
    const { state, available } = sound;
    if (!facts.live) {
      this.liveSince = 0;
      sound.excuse();
    } else if (this.liveSince === 0) this.liveSince = facts.now;
    this.trouble = facts.live ? this.judge(facts) : "";
    this.button.hidden = !available;
    this.none.hidden = available || this.trouble === "";
    set(this.button, "aria-pressed", String(state !== "off"));
    set(this.button, "aria-label", `Sound of ${this.name}${state === "blocked" ? ": tap for it" : ""}`);
    this.setIcon(this.icon, { off: "icon-silent", on: "icon-sound", blocked: "icon-blocked" }[state]);
    this.say(state === "blocked" && facts.live ? TAP : "", this.sentence(), facts.live);
    const heard = sound.takeLevel();
    const level = heard === null ? facts.level : heard;
    if (facts.drawn) this.bar.show(facts.live && available ? level : null, facts.now);
  }

  /** @param {Facts} facts @returns {string} see `trouble` */
  judge({ microphone, now }) {
    const { sound } = this;
    if (microphone && microphone !== "on") return microphone;
    if (sound.current) return sound.available ? sound.trouble : "unplayable";
    return now - this.liveSince > SOUND_DUE ? "none" : "";
  }

  /** @returns {string} what belongs over the picture, "" for nothing */
  sentence() {
    const { trouble, sound } = this;
    if (KNOWN.includes(trouble) && !sound.wanted) return "";
    if (trouble === "off") return "No sound: its microphone is switched off.";
    if (trouble === "nothing") return "No sound comes from this camera.";
    if (trouble === "zeros") return "Only silence comes from this camera.";
    if (trouble === "unplayable") return "No sound: this browser cannot play it.";
    if (trouble === "none") return sound.wanted ? "This camera sends no sound." : "";
    return MICROPHONE[trouble] || "";
  }

  /** @param {string} wish what the person has to do @param {string} why there is no sound @param {boolean} live */
  say(wish, why, live) {
    const text = [wish, why].filter(Boolean).join(" ");
    if (text === this.said) return;
    this.sentences.textContent = text;
    this.words.hidden = text === "";
    if (text) this.announce(text);
    else if (live && this.why) this.announce("The sound is there again.");
    this.said = text;
    this.why = why;
  }
}
