// The button that switches the sound of what films, what the microphone does, and how loud it is.

import { LevelBar } from "../../shared/page/level-bar.js";
import { SOUND_WORDS } from "./status-words.js";
import { setText } from "../../shared/page/elements.js";

/** @typedef {import("../lens/microphone.js").Hearing} Hearing */

export class SoundButton {
  /**
   * @param {{button: HTMLElement, icon: Element, label: HTMLElement, hint: HTMLElement,
   *          level: HTMLElement}} parts
   * @param {import("../lens/level-meter.js").LevelMeter} meter of the microphone
   * @param {{sound: () => import("../lens/microphone.js").SoundState, onheard: () => void,
   *          ontap: (on: boolean) => void}} handlers sound: what the microphone does, as its lens
   *        says; onheard: it does something else; ontap: a person switches it
   */
  constructor(parts, meter, handlers) {
    this.parts = parts;
    this.meter = meter;
    this.handlers = handlers;
    this.bar = new LevelBar(parts.level);
    /** Only zeros come out of the microphone, and the system does not say why. */
    this.dead = false;
    parts.button.addEventListener("click", () => {
      handlers.ontap(["off", "refused", "missing"].includes(handlers.sound()));
    });
  }

  /** @returns {Hearing} */
  get hearing() {
    const sound = this.handlers.sound();
    return sound === "on" && this.dead ? "silent" : sound;
  }

  /** That there is no sound, for the dark screen; "" where the person wants none.
   *  @returns {string} */
  get trouble() {
    return SOUND_WORDS[this.hearing][1] ? "no sound" : "";
  }

  /** How loud is it, and is there anything at all? @param {number} now ms @param {boolean} seen */
  look(now, seen) {
    this.meter.look(now);
    if (seen) this.bar.show(this.meter.level, now);
    if (this.meter.dead === this.dead) return;
    this.dead = this.meter.dead;
    this.show();
    this.handlers.onheard();
  }

  show() {
    const { icon, label, hint } = this.parts;
    const { hearing } = this;
    const [word, advice] = SOUND_WORDS[hearing];
    const on = hearing === "on" || hearing === "asking";
    setText(label, word);
    icon.setAttribute("href", on ? "#icon-microphone" : "#icon-microphone-off");
    setText(hint, advice);
    hint.hidden = advice === "";
  }
}
