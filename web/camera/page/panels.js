// One thing to know, and what to do about it: of all that stands in the way, the page shows the
// most pressing.
//
//   const panels = new Panels({panel, title, steps, actions}, ["key", "lens"], {key: form}, () =>
//   {}); panels.show("lens", "The camera is in use", ["Close the other app."], [{label: "Try
//   again", act: again}]); panels.hide("lens");

/** @typedef {{label: string, primary?: boolean, act?: () => void, href?: string}} Action */
/** @typedef {{title: string, steps: string[], actions: Action[]}} Panel */

export class Panels {
  /**
   * @param {{panel: HTMLElement, title: HTMLElement, steps: HTMLElement, actions: HTMLElement}}
   *   parts
   * @param {string[]} subjects what a panel can be about, the most pressing first
   * @param {Record<string, HTMLElement>} forms those that belong to a subject, inside the panel
   * @param {() => void} onchange another subject is on show, or none
   */
  constructor(parts, subjects, forms, onchange) {
    this.parts = parts;
    this.subjects = subjects;
    this.forms = forms;
    this.onchange = onchange;
    /** What there is to say about each subject. @type {Map<string, Panel>} */
    this.panels = new Map();
    /** The subject on show, or "". */
    this.subject = "";
  }

  /**
   * @param {string} about
   * @param {string} title
   * @param {string[]} steps
   * @param {Action[]} [actions]
   */
  show(about, title, steps, actions = []) {
    this.panels.set(about, { title, steps, actions });
    if (this.subject === about) this.subject = ""; // it has news
    this._draw();
  }

  /** @param {string} about */
  hide(about) {
    if (this.panels.delete(about)) this._draw();
  }

  _draw() {
    const pressing = this.subjects.find((about) => this.panels.has(about)) || "";
    const panel = this.panels.get(pressing);
    this.parts.panel.hidden = !panel;
    if (panel && pressing !== this.subject) {
      const { title, steps, actions } = this.parts;
      title.textContent = panel.title;
      steps.textContent = actions.textContent = "";
      for (const step of panel.steps) steps.append(paragraph(step));
      for (const action of panel.actions) actions.append(actionElement(action));
      for (const about of Object.keys(this.forms)) this.forms[about].hidden = about !== pressing;
    }
    this.subject = pressing;
    this.onchange();
  }
}

/** @param {string} text */
export function paragraph(text) {
  const line = document.createElement("p");
  line.textContent = text;
  return line;
}

/** A button, or a link that looks like one. @param {Action} action @returns {HTMLElement} */
export function actionElement({ label, primary, act, href }) {
  const element = document.createElement(href ? "a" : "button");
  element.textContent = label;
  element.className = primary ? "button primary" : "button";
  if (href) {
    element.setAttribute("href", href);
    element.setAttribute("target", "_blank");
    element.setAttribute("rel", "noopener");
  } else {
    element.setAttribute("type", "button");
    element.addEventListener("click", /** @type {() => void} */ (act));
  }
  return element;
}
