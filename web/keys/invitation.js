// A guest is invited: for whom, what, which cameras, until when; then the code and the link, which
// are the new key.

import { Glimpse } from "../shared/page/glimpse.js";
import { isolated, nameOf } from "../shared/page/camera-name.js";
import { allows, untilWords } from "./words.js";

/**
 * What the relay answers to a new key.
 * @typedef {import("./words.js").Key & {links: Record<string, string>, codes: Record<string,
 *   string>}} NewKey
 */

/** A camera that the relay knows. @typedef {{name: string, label?: string}} Camera */

/**
 * What the relay takes in no label: joiners, marks of direction and other characters that cannot be
 * seen.
 */
const UNSEEN =
  /[\u0000-\u001f\u007f-\u009f\u00ad\u061c\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff]/g;

/** @param {string} id @returns {any} */
const byId = (id) => document.getElementById(id);

export class Invitation {
  /**
   * @param {{make: (wish: object) => Promise<NewKey>, called: (name: string) => string, ondone: ()
   *     => void}} handlers make: asks the relay for a key; rejects with a sentence for a person;
   *     ondone: there is a new key in the list
   */
  constructor(handlers) {
    this.handlers = handlers;
    /**
     * The one that was made last, until a person is done with it; listed: the list has had its key.
     * @type {{id: string, title: string, url: string, code: string, listed: boolean} | null}
     */
    this.made = null;
    this.glimpse = new Glimpse((seen) => this._show(seen));
    byId("form").addEventListener("submit", (/** @type {Event} */ event) => {
      event.preventDefault();
      this._submit();
    });
    byId("form").addEventListener("change", () => this._arrange());
    byId("form").addEventListener("input", () => this._tell("", null));
    byId("show").addEventListener("click", () => this._tapShow());
    byId("share").addEventListener("click", () => this._share());
    byId("copy").addEventListener("click", () => this._copy());
    byId("done").addEventListener("click", () => {
      this._finish();
      byId("whom").focus();
    });
    byId("share").hidden = !("share" in navigator);
    this._arrange();
  }

  /** @param {Camera[]} cameras those that may be chosen */
  offer(cameras) {
    const chosen = this._ticked();
    const list = byId("cameras");
    const old = [...list.querySelectorAll("input")].map((box) => box.value);
    if (JSON.stringify(old) === JSON.stringify(cameras.map(({ name }) => name))) return;
    list.textContent = "";
    for (const { name } of cameras) list.append(this._choice(name, chosen.includes(name)));
  }

  /** @param {string} name @param {boolean} chosen */
  _choice(name, chosen) {
    const line = document.createElement("label");
    line.className = "choice";
    const box = document.createElement("input");
    box.type = "checkbox";
    box.value = name;
    box.checked = chosen;
    const words = document.createElement("span");
    words.dir = "auto";
    words.textContent = this.handlers.called(name);
    line.append(box, words);
    return line;
  }

  /** @returns {string[]} */
  _ticked() {
    return [...byId("cameras").querySelectorAll("input:checked")].map((box) => box.value);
  }

  /** @returns {string[]} names of cameras, also of those that were typed */
  _names() {
    const typed = byId("others")
      .value.split(",")
      .map((/** @type {string} */ text) => nameOf(text.trim()));
    return [...new Set([...this._ticked(), ...typed.filter(Boolean)])];
  }

  /** Shows what belongs to what is chosen. */
  _arrange() {
    const films = byId("films").checked;
    byId("which").textContent = films ? "Under which names" : "Which cameras";
    byId("all-words").textContent = films ? "Any name" : "All, also those that come later";
    byId("some").hidden = byId("all").checked;
  }

  /** @param {string} sentence "" for none @param {HTMLElement | null} field where it is wrong */
  _tell(sentence, field) {
    for (const one of [byId("whom"), byId("others")]) one.removeAttribute("aria-invalid");
    // Below the field, which is scrolled into view: on a phone, the end of the form is out of
    // sight.
    if (field) field.after(byId("wrong"));
    else byId("make").before(byId("wrong"));
    byId("wrong").textContent = sentence;
    byId("wrong").hidden = sentence === "";
    if (!field) return;
    field.setAttribute("aria-invalid", "true");
    field.focus();
  }

  async _submit() {
    const label = byId("whom").value.replace(UNSEEN, "").trim();
    const names = this._names();
    if (!label)
      return this._tell(
        "Say for whom it is, so that you know later whose key this is.",
        byId("whom"),
      );
    if (!byId("all").checked && names.length === 0)
      return this._tell("Choose a camera, or write the name of one.", byId("others"));
    const scope = byId("all").checked ? "all" : names;
    const wish = {
      label,
      [byId("films").checked ? "publish" : "watch"]: scope,
      expires: byId("until").value || undefined,
      codes: true,
    };
    byId("make").disabled = true;
    try {
      this._hand(await this.handlers.make(wish));
    } catch (error) {
      this._tell(/** @type {Error} */ (error).message, null);
    }
    byId("make").disabled = false;
  }

  /** @param {NewKey} key */
  _hand(key) {
    const [page] = Object.keys(key.links);
    this.made = {
      id: key.id,
      title: key.label,
      url: key.links[page],
      code: key.codes[page],
      listed: false,
    };
    byId("made-title").textContent = `Invitation for ${isolated(key.label)}`;
    byId("made-words").textContent =
      `With this link, a person can ${allows(key, this.handlers.called)}, ${untilWords(key.expires)}.`;
    byId("form").hidden = true;
    byId("made").hidden = false;
    byId("said").textContent = "";
    byId("made-title").focus();
    this.glimpse.begin();
    this.handlers.ondone();
  }

  _tapShow() {
    if (this.glimpse.seen) this.glimpse.end();
    else this.glimpse.begin();
  }

  /** @param {boolean} seen */
  _show(seen) {
    const made = seen ? this.made : null;
    byId("show").textContent = made ? "Hide code and link" : "Show code and link";
    byId("secret").hidden = !made;
    if (made) byId("code").src = `data:image/svg+xml,${encodeURIComponent(made.code)}`;
    else byId("code").removeAttribute("src");
    byId("link").textContent = made ? made.url : "";
  }

  async _share() {
    if (!this.made) return;
    const { title, url } = this.made;
    try {
      await navigator.share({ title: `drawercam, for ${title}`, url });
    } catch (error) {
      if (/** @type {DOMException} */ (error).name !== "AbortError")
        byId("said").textContent = "This browser shares nothing here: copy the link.";
    }
  }

  /** Where the clipboard is closed to pages, the link is shown, ready to be copied by hand. */
  async _copy() {
    if (!this.made) return;
    try {
      await navigator.clipboard.writeText(this.made.url);
      byId("said").textContent = "The link is copied.";
    } catch (error) {
      this.glimpse.begin();
      const all = document.createRange();
      all.selectNodeContents(byId("link"));
      const selection = /** @type {Selection} */ (getSelection());
      selection.removeAllRanges();
      selection.addRange(all);
      byId("said").textContent = document.execCommand("copy")
        ? "The link is copied."
        : "Copy the link by hand: it is selected.";
    }
  }

  _finish() {
    this.glimpse.end();
    this.made = null;
    byId("form").reset();
    this._arrange();
    byId("form").hidden = false;
    byId("made").hidden = true;
  }

  /**
   * An invitation whose key is revoked or over opens nothing.
   * @param {import("./words.js").Key[]} keys all that there are
   */
  check(keys) {
    const { made } = this;
    if (!made) return;
    const lives = keys.some(({ id, over }) => id === made.id && !over);
    if (made.listed && !lives) this._finish();
    else made.listed = lives;
  }

  /** This page may invite nobody any more. */
  close() {
    this.glimpse.end();
    this.made = null;
    byId("form").hidden = false;
    byId("made").hidden = true;
  }
}
