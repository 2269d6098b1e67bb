// What a button is called that shows a symbol only: to a screen reader, and to a pointer that rests
// on it.

/**
 * @param {Element} button
 * @param {string} name set only when it differs, so that nothing is announced twice
 */
export function nameButton(button, name) {
  if (button.getAttribute("aria-label") === name && button.getAttribute("title") === name) return;
  button.setAttribute("aria-label", name);
  button.setAttribute("title", name);
}
