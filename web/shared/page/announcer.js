// Sentences for a screen reader, in a live region. What is true no more is taken back: who reads on
// in the page must not find it there.

/** Milliseconds in which sentences are gathered. */
const GATHER = 800;

export class Announcer {
  /** @param {HTMLElement} element with aria-live */
  constructor(element) {
    this.element = element;
    /** What waits to be said. @type {{subject: string, text: string}[]} */
    this.waiting = [];
    this.timer = 0;
  }

  /** @param {string} subject what the sentence is about @param {string} text */
  say(subject, text) {
    this.waiting.push({ subject, text });
    if (this.timer === 0) this.timer = setTimeout(() => this.tell(), GATHER);
  }

  /**
   * What was said of this is true no more, and nothing else is to be said.
   * @param {string} subject
   */
  takeBack(subject) {
    this.waiting = this.waiting.filter((one) => one.subject !== subject);
    // Readers say what is added or changed, and nothing of what is taken away: so each sentence is
    // an element of its own.
    for (const one of [.../** @type {any} */ (this.element.children)])
      if (one.dataset.subject === subject) one.remove();
  }

  tell() {
    const { element, waiting } = this;
    this.waiting = [];
    this.timer = 0;
    if (waiting.length === 0) return;
    element.textContent = "";
    for (const { subject, text } of waiting) {
      const sentence = document.createElement("span");
      sentence.dataset.subject = subject;
      sentence.textContent = `${text} `;
      element.append(sentence);
    }
  }
}
