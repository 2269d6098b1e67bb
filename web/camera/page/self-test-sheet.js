// The sheet that shows a self-test while it runs: a line for each test, one sentence for all, and
// the result as text for somebody who helps.

import { cover } from "../../shared/page/inert.js";
import { actionElement, paragraph } from "./panels.js";
import { summaryOf } from "./self-test.js";

/** What each sign is called. @type {Record<import("./self-test.js").Sign, string>} */
const SIGN_WORDS = {
  waiting: "",
  running: "Testing …",
  fine: "Fine",
  limits: "With limits",
  failed: "Failed",
  skipped: "Not tested",
};

export class SelfTestSheet {
  /**
   * @param {{sheet: HTMLElement, under: HTMLElement, title: HTMLElement, summary: HTMLElement,
   *          lines: HTMLElement, text: any, copy: any, again: any, close: any}} parts
   * @param {() => import("./self-test.js").SelfTest} make a test
   * @param {() => void} onclose the sheet is closed, and whatever the test has used is free again
   */
  constructor(parts, make, onclose) {
    this.parts = parts;
    this.make = make;
    this.onclose = onclose;
    /** @type {import("./self-test.js").SelfTest | null} */
    this.test = null;
    /** What had the focus before. @type {any} */
    this.before = null;
    parts.copy.addEventListener("click", () => this._copy());
    parts.again.addEventListener("click", () => this._run());
    parts.close.addEventListener("click", () => this.close());
    parts.sheet.addEventListener("keydown", (event) => {
      if (event.key === "Escape") this.close();
    });
  }

  /** Shows the sheet, and tests. */
  open() {
    if (!this.parts.sheet.hidden) return;
    this.before = document.activeElement;
    this.parts.sheet.hidden = false;
    this.parts.sheet.scrollTop = 0;
    cover(this.parts.under, this.parts.title);
    this.parts.title.focus();
    this._run();
  }

  close() {
    if (this.parts.sheet.hidden) return;
    if (this.test) this.test.stop();
    this.test = null;
    this.parts.sheet.hidden = true;
    cover(this.parts.under, null);
    if (this.before && this.before.isConnected) this.before.focus();
    this.onclose();
  }

  async _run() {
    if (this.test) this.test.stop();
    const test = (this.test = this.make());
    const { summary, lines, text, copy, again } = this.parts;
    lines.textContent = "";
    summary.textContent =
      "One thing after the other. If the browser asks for camera or microphone, allow it.";
    summary.dataset.sign = "running";
    copy.textContent = "Copy";
    copy.disabled = again.disabled = true;
    text.hidden = true;
    for (const line of test.lines) lines.append(element(line));
    await test.run((found) => found.forEach((line, index) => this._draw(line, index)));
    if (test !== this.test) return; // closed meanwhile
    summary.textContent = summaryOf(test.lines);
    summary.dataset.sign = test.lines.some(({ sign }) => sign === "failed") ? "failed" : "fine";
    copy.disabled = again.disabled = false;
  }

  /** @param {import("./self-test.js").Line} line @param {number} index */
  _draw(line, index) {
    const old = /** @type {HTMLElement} */ (this.parts.lines.children[index]);
    if (old.dataset.sign !== line.sign) old.replaceWith(element(line));
  }

  /** Where the clipboard is closed to pages, the text is shown, ready to be copied by hand. */
  async _copy() {
    const { text, copy } = this.parts;
    if (!this.test) return;
    text.value = this.test.text;
    try {
      await navigator.clipboard.writeText(text.value);
      copy.textContent = "Copied";
    } catch (error) {
      text.hidden = false;
      text.focus();
      text.select();
      copy.textContent = document.execCommand("copy") ? "Copied" : "Copy by hand";
    }
  }
}

/** @param {import("./self-test.js").Line} line @returns {HTMLElement} */
function element({ id, label, sign, found, steps, link }) {
  const item = document.createElement("li");
  item.className = "check";
  item.dataset.test = id;
  item.dataset.sign = sign;
  const head = document.createElement("h3");
  const word = document.createElement("span");
  word.className = "check-sign";
  word.textContent = SIGN_WORDS[sign];
  head.append(label, word);
  item.append(head);
  if (found) item.append(paragraph(found));
  if (steps.length > 0) {
    const list = document.createElement("ul");
    for (const step of steps) {
      const entry = document.createElement("li");
      entry.textContent = step;
      list.append(entry);
    }
    item.append(list);
  }
  if (link) item.append(actionElement({ label: "Open the trust page", primary: true, href: link }));
  return item;
}
