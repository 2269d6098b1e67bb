// What lies under something that covers it: the keyboard and a screen reader do not reach it.
// Browsers know `inert` since Chrome 102, Safari 15.5 and Firefox 112; before, the focus is sent
// back from there.

const NATIVE = "inert" in HTMLElement.prototype;

/**
 * What lies over what is covered, only where the browser does not know `inert`.
 * @type {Map<HTMLElement, HTMLElement>}
 */
const covered = new Map();

if (!NATIVE) {
  document.addEventListener("focusin", ({ target }) => {
    for (const [under, over] of covered)
      if (under.contains(/** @type {Node} */ (target))) over.focus();
  });
}

/**
 * @param {HTMLElement} under
 * @param {HTMLElement | null} over takes the focus; null: nothing lies over it any more
 */
export function cover(under, over) {
  if (NATIVE) under.inert = over !== null;
  else if (over) {
    covered.set(under, over);
    under.setAttribute("aria-hidden", "true");
  } else {
    covered.delete(under);
    under.removeAttribute("aria-hidden");
  }
}
