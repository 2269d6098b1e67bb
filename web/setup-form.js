// Before filming: the name of this camera, and whether its lens may sleep.

import { freshName, isName, nameOf, toName } from "./names.js";
import { recall, remember } from "./remembered.js";

/** Keys of localStorage. */
const STORED_NAME = "drawercam.name";
const STORED_REST = "drawercam.rest";

export class SetupForm {
  /**
   * @param {{form: any, name: any, hint: HTMLElement, rest: any, start: any}} parts
   * @param {URLSearchParams} query `?name=`, and `?rest=lens` or `encoder`, which come before what is remembered
   * @param {() => void} onstart
   */
  constructor(parts, query, onstart) {
    this.parts = parts;
    this.query = query;
    /** Whether the lens sleeps as well while nobody watches. */
    this.restsLens = (query.get("rest") || recall(STORED_REST)) === "lens";
    parts.name.value = toName(query.get("name") || recall(STORED_NAME)) || freshName();
    parts.rest.checked = this.restsLens;
    parts.form.addEventListener("submit", (/** @type {Event} */ event) => {
      event.preventDefault();
      if (!parts.start.disabled) onstart();
    });
    parts.name.addEventListener("input", () => this._typed());
    parts.rest.addEventListener("change", () => this._ticked());
  }

  /** The name to film under. @returns {string} "" if there is none yet: then the person is told so */
  choose() {
    const { name, hint } = this.parts;
    const chosen = nameOf(name.value);
    if (!isName(chosen)) {
      hint.textContent = "Give this camera a name, such as porch.";
      name.focus();
      return "";
    }
    name.value = chosen;
    remember(STORED_NAME, chosen);
    return chosen;
  }

  /** Lets a person choose another name. */
  focus() {
    this.parts.name.focus();
    this.parts.name.select();
  }

  _typed() {
    const { name, hint } = this.parts;
    const { value, selectionEnd } = name;
    const kind = toName(value);
    if (kind !== value) {
      const caret = toName(value.slice(0, selectionEnd)).length; // stays behind the same letter
      name.value = kind;
      name.setSelectionRange(caret, caret);
    }
    hint.textContent = "";
  }

  _ticked() {
    this.restsLens = this.parts.rest.checked;
    const word = this.restsLens ? "lens" : "encoder";
    remember(STORED_REST, word);
    if (this.query.has("rest")) this.query.set("rest", word);
  }
}
