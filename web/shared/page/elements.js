// Small parts of a page, made by its scripts.

/** @param {string} symbol of the sprite in player.html @returns {SVGSVGElement} */
export function icon(symbol) {
  const svg = document.createElementNS("http://www.w3.org/2000/svg", "svg");
  svg.setAttribute("aria-hidden", "true");
  const use = document.createElementNS("http://www.w3.org/2000/svg", "use");
  use.setAttribute("href", `#${symbol}`);
  svg.append(use);
  return svg;
}

/** @param {SVGSVGElement} svg @param {string} symbol */
export function setIcon(svg, symbol) {
  const use = svg.firstElementChild;
  if (use && use.getAttribute("href") !== `#${symbol}`) use.setAttribute("href", `#${symbol}`);
}

/**
 * @param {string} tag
 * @param {string} className
 * @param {(Node | string)[]} children
 * @returns {any}
 */
export function part(tag, className, ...children) {
  const element = document.createElement(tag);
  element.className = className;
  element.append(...children);
  return element;
}

/**
 * @param {string} className
 * @param {(Node | string)[]} children
 * @returns {HTMLButtonElement} one that submits nothing
 */
export function button(className, ...children) {
  const element = part("button", className, ...children);
  element.type = "button";
  return element;
}

/**
 * @param {Element} element
 * @param {string} text changed only when it differs, so that nothing is announced twice
 */
export function setText(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

/**
 * @param {Element} element
 * @param {string} attribute
 * @param {string} value changed only when it differs
 */
export function setAttribute(element, attribute, value) {
  if (element.getAttribute(attribute) !== value) element.setAttribute(attribute, value);
}
