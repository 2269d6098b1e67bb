// Before filming: what this camera is called, and whether its lens may sleep.

import { tellMistake } from "../../shared/page/mistake.js";
import { cutToLabel, freshName, labelOf, nameOf } from "../../shared/page/camera-name.js";
import { forgets, recall, remember } from "../../shared/page/stored.js";

/** Keys of localStorage. */
const STORED_NAME = "drawercam.name";
const STORED_REST = "drawercam.rest";

export class SetupForm {
  /**
   * @param {{form: any, name: any, made: HTMLElement, hint: HTMLElement, rest: any, start: any}}
   *        parts made: where the name stands that is made from what is typed
   * @param {URLSearchParams} query `?name=`, a name or a label, and `?rest=lens` or `encoder`,
   *   which come before what is remembered
   * @param {() => void} onstart
   */
  constructor(parts, query, onstart) {
    this.parts = parts;
    this.query = query;
    /** Whether the lens sleeps as well while nobody watches. */
    this.restsLens = (query.get("rest") || recall(STORED_REST)) === "lens";
    parts.name.value = firstLabel(query.get("name") || "", recall(STORED_NAME));
    this._show();
    parts.hint.textContent = forgets("This name");
    parts.rest.checked = this.restsLens;
    parts.form.addEventListener("submit", (/** @type {Event} */ event) => {
      event.preventDefault();
      if (!parts.start.disabled) onstart();
    });
    parts.name.addEventListener("input", (/** @type {InputEvent} */ event) =>
      this._typed(event.isComposing),
    );
    parts.name.addEventListener("compositionend", () => this._typed(false));
    parts.rest.addEventListener("change", () => this._ticked());
  }

  /**
   * What to film as.
   * @returns {{name: string, label: string} | null} null if that is missing: then the person is
   *   told so
   */
  choose() {
    const { name, hint } = this.parts;
    const label = labelOf(name.value);
    const chosen = nameOf(label);
    if (chosen === "") {
      tellMistake(name, hint, "Give this camera a name, such as porch.");
      return null;
    }
    name.value = label;
    this._show();
    remember(STORED_NAME, label);
    return { name: chosen, label };
  }

  /** Lets a person choose another name. */
  focus() {
    this.parts.name.focus();
    this.parts.name.select();
  }

  /**
   * @param {boolean} composes the text belongs to the keyboard until it has composed it, so it is
   *   left alone
   */
  _typed(composes) {
    const { name, hint } = this.parts;
    const cut = composes ? name.value : cutToLabel(name.value);
    if (cut !== name.value) {
      const { selectionEnd } = name;
      name.value = cut;
      name.setSelectionRange(selectionEnd, selectionEnd);
    }
    tellMistake(name, hint, "");
    this._show();
  }

  _show() {
    const made = nameOf(labelOf(this.parts.name.value));
    this.parts.made.textContent = made && `In links and files: ${made}`;
  }

  _ticked() {
    this.restsLens = this.parts.rest.checked;
    const word = this.restsLens ? "lens" : "encoder";
    remember(STORED_REST, word);
    if (this.query.has("rest")) this.query.set("rest", word);
  }
}

/** What stands in the field at first. A link may have the name only of what this phone is called.
 *  @param {string} given @param {string} remembered @returns {string} */
function firstLabel(given, remembered) {
  const last = labelOf(remembered);
  const wished = labelOf(given);
  if (nameOf(wished) === "") return nameOf(last) ? last : freshName();
  return nameOf(last) === wished ? last : wished;
}
