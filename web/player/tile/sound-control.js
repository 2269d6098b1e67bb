// What a tile shows of its camera's sound, and where a person switches it on: a button with a bar
// of how loud it is, a word in its place where the camera has no sound, and a sentence over the
// caption when something keeps the sound away, whether it is switched on or not.
//
//   const control = new SoundControl("porch", sound, { ontoggle() {}, announce(text) {} });
//   tools.append(control.button, control.none); caption.prepend(control.words);
//   // at every change, and by the clock
//   control.refresh({ microphone, level, live, drawn, now });
//
// How loud it is comes from what is played (sound.js), and while nothing is played from the camera
// itself, which tells it the relay (docs/protocol.md, "Sound"): so it is known in every browser,
// costs no decoding, and no message of its own.

import { icon, setAttribute, setIcon } from "../../shared/page/elements.js";
import { LevelBar } from "../../shared/page/level-bar.js";
import { nameButton } from "../../shared/page/named.js";

/**
 * A camera's sound comes a moment after its picture (ms); only then it is said that there is none.
 */
const SOUND_DUE = 3000;

/**
 * Why there is no sound (see `trouble`), in words, and in few of them for a small tile.
 * @type {Record<string, [string, string]>}
 */
const WORDS = {
  off: ["No sound: its microphone is switched off.", "Microphone off"],
  muted: ["No sound: a call or the system has taken its microphone.", "Microphone taken"],
  silent: ["No sound: its microphone gives only silence.", "Only silence"],
  refused: ["No sound: it may not use its microphone.", "Microphone not allowed"],
  missing: ["No sound: it has no microphone.", "No microphone"],
  busy: ["No sound: another app has its microphone.", "Microphone in use"],
  failed: ["No sound: its browser cannot send it.", "Sound not sent"],
  slow: ["No sound: its network is too slow.", "Network too slow"],
  nothing: ["No sound comes from this camera.", "No sound comes"],
  zeros: ["Only silence comes from this camera.", "Only silence"],
  unplayable: ["No sound: this browser cannot play it.", "Sound not playable"],
  none: ["This camera sends no sound.", "No sound comes"],
};

/** What a person has to do where the browser plays nothing without. */
const TAP = ["Tap for the sound.", "Tap for sound"];

/**
 * Those that a person has wished for, or knows of: they are said in full only where somebody wants
 * to listen.
 */
const KNOWN = ["off", "missing", "none"];

/**
 * @typedef {{microphone: string, level: number | null, live: boolean, drawn: boolean, now: number}}
 * Facts microphone: what the camera says of it, "" for nothing; level: what it says that it hears,
 * RMS 0..1, or null; live: it films, and the relay is there; drawn: somebody can see this; now: ms
 * of performance.now()
 */

export class SoundControl {
  /**
   * @param {string} name of the camera
   * @param {import("../sound/sound.js").Sound} sound
   * @param {{ontoggle: (on: boolean) => void, announce: (text: string) => void}} tile
   *        ontoggle: a person has switched it; announce: for a screen reader
   */
  constructor(name, sound, { ontoggle, announce }) {
    this.name = name;
    this.sound = sound;
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
    this.full = document.createElement("span");
    this.full.className = "full";
    this.brief = document.createElement("span");
    this.brief.className = "brief";
    this.words.append(this.full, this.brief);
    /**
     * Why there is no sound, in one word: what the camera says, or "nothing", "zeros",
     * "unplayable", "none"; "" where all is well.
     */
    this.trouble = "";
    this.said = ""; // what stands there
    this.explained = false; // and that has a reason
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
    // Where it is on, it goes on when the camera is back.
    this.button.hidden = !available && state === "off";
    this.none.hidden = available || this.trouble === "";
    setAttribute(this.button, "aria-pressed", String(state !== "off"));
    nameButton(this.button, `Sound of ${this.name}${state === "blocked" ? ": tap for it" : ""}`);
    setIcon(this.icon, { off: "icon-silent", on: "icon-sound", blocked: "icon-blocked" }[state]);
    this.say(state === "blocked" && facts.live, facts.live);
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

  /** @param {boolean} blocked @param {boolean} live */
  say(blocked, live) {
    const { trouble, sound } = this;
    const why =
      trouble === "" || (KNOWN.includes(trouble) && !sound.wanted) ? null : WORDS[trouble] || null;
    const parts = [blocked ? TAP : null, why];
    const [text, brief] = [0, 1].map((length) =>
      parts
        .map((words) => (words ? words[length] : ""))
        .filter(Boolean)
        .join(" "),
    );
    if (text === this.said) return;
    this.full.textContent = text;
    this.brief.textContent = brief;
    this.words.hidden = text === "";
    if (text) this.announce(text);
    else if (live && this.explained) this.announce("The sound is there again.");
    this.said = text;
    this.explained = why !== null;
  }
}
