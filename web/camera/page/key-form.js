// Where a camera shows its key: asks the relay what this browser may do, and a person for the key
// if it may not film.

import { refusalWords, relay } from "../../shared/relay/absence.js";
import { tellMistake } from "../../shared/page/mistake.js";
import {
  RefusalError,
  keepsNoKey,
  onNewKey,
  openSession,
  refusedWords,
  useKey,
} from "../../shared/relay/login.js";

/** Milliseconds between two questions about the session. */
const SESSION_RETRY = 2000;

export class KeyDesk {
  /**
   * @param {{form: any, key: any, hint: HTMLElement}} parts
   * @param {{onallowed: (typed: boolean) => void, onasked: () => void, onlost: () => void, onaway:
   *          (refusal: import("../../shared/relay/absence.js").Refusal | null) => void}} handlers
   *     onallowed: this browser may film; typed: a person has just typed the key; onasked: it may
   *     not, so a person is to be asked for the key, or told why this browser keeps none; onlost:
   *     as onasked, but it could before; onaway: the relay does not answer, or says why it does not
   *     let this page in; it is asked again
   */
  constructor(parts, handlers) {
    this.parts = parts;
    this.handlers = handlers;
    /**
     * What the relay has said last, null before it answered.
     * @type {import("../../shared/types.js").Session | null}
     */
    this.session = null;
    this.checkedAt = 0;
    onNewKey((here) => {
      if (here || this.refused) this.open();
    });
    parts.form.addEventListener("submit", (/** @type {Event} */ event) => {
      event.preventDefault();
      this._submit();
    });
  }

  /** The relay has answered, and this browser may film. */
  get allowed() {
    return this.session !== null && this.session.camera;
  }

  /** The relay has answered, and this browser may not film. */
  get refused() {
    return this.session !== null && !this.session.camera;
  }

  /** Asks until the relay answers. @param {boolean} [again] it has been asked before */
  async open(again = false) {
    if (!again) relay.begin();
    try {
      this.session = await openSession();
    } catch (error) {
      setTimeout(() => this.open(true), SESSION_RETRY);
      this.handlers.onaway(error instanceof RefusalError ? error.refusal : null);
      return;
    }
    if (this.allowed) this.handlers.onallowed(false);
    else this.handlers.onasked();
  }

  /**
   * To be called while the relay refuses the link. A browser does not tell why a WebSocket was
   * refused; a relay that was restarted with other keys refuses the cookie.
   */
  async check() {
    if (performance.now() - this.checkedAt <= SESSION_RETRY) return;
    this.checkedAt = performance.now();
    try {
      this.session = await openSession();
      if (this.refused) this.handlers.onlost();
    } catch (error) {
      // away: the link goes on trying
    }
  }

  async _submit() {
    const { key, hint } = this.parts;
    const mistake = (/** @type {string} */ text) => tellMistake(key, hint, text);
    if (key.value.trim() === "") {
      mistake("Type the key first.");
      return;
    }
    mistake("");
    try {
      const answer = await useKey(key.value);
      if (answer && (answer.camera || keepsNoKey(answer))) this.session = answer;
      if (answer && answer.camera) {
        key.value = "";
        this.handlers.onallowed(true);
      } else if (keepsNoKey(answer)) this.handlers.onasked();
      else if (answer) mistake("This is a “Watch” key. Filming takes a “Film” key.");
      else mistake(refusedWords());
    } catch (error) {
      const away = "The relay does not answer. Is it running, and is this phone in its network?";
      mistake(error instanceof RefusalError ? refusalWords(error.refusal) : away);
    }
  }
}
