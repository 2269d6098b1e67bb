// Sentences for a screen reader, in a live region. What is true no more is taken back: who reads on in the page must not find it there.

/** Milliseconds in which sentences are gathered. */
const GATHER = 800;

export class Announcer {
  /** @param {HTMLElement} element with aria-live */
  constructor(element) {
    this.element = element;
    /** What waits to be said, by whom it is about. @type {Map<string, string>} */
    this.waiting = new Map();
  }

  /** @param {string} subject what the sentence is about: a later one about the same replaces it @param {string} text */
  say(subject, text) {
    if (this.waiting.size === 0) setTimeout(() => this.tell(), GATHER);
    this.waiting.set(subject, text);
  }

  /** What was said of this is true no more, and nothing else is to be said. @param {string} subject */
  takeBack(subject) {
    if (this.waiting.has(subject)) this.waiting.set(subject, ""); // the timer runs
    // Readers say what is added or changed, and nothing of what is taken away: so each sentence is an element of its own.
    for (const one of [.../** @type {any} */ (this.element.children)]) if (one.dataset.about === subject) one.remove();
  }

  tell() {
    const { element, waiting } = this;
    const spoken = [...waiting].filter(([, text]) => text !== "");
    waiting.clear();
    if (spoken.length === 0) return;
    element.textContent = "";
    for (const [subject, text] of spoken) {
      const sentence = document.createElement("span");
      sentence.dataset.about = subject;
      sentence.textContent = `${text} `;
      element.append(sentence);
    }
  }
}
