// What a page remembers from one visit to the next. A browser that blocks storage forgets, and
// works.

/** Whether this browser lets the page remember anything. */
export function remembers() {
  try {
    localStorage.setItem("drawercam", "");
    localStorage.removeItem("drawercam");
    return true;
  } catch (error) {
    return false;
  }
}

/**
 * @param {string} what is forgotten, the subject of a sentence
 * @returns {string} that this browser will not remember it, and why; "" where it will
 */
export function forgets(what) {
  return remembers()
    ? ""
    : `${what} will be forgotten: storage is blocked for ${location.host} in this browser’s settings.`;
}

/** @param {string} key of localStorage @returns {string} "" where nothing is remembered */
export function recall(key) {
  try {
    return localStorage.getItem(key) || "";
  } catch (error) {
    return "";
  }
}

/** @param {string} key @param {string} value */
export function remember(key, value) {
  try {
    localStorage.setItem(key, value);
  } catch (error) {
    // private browsing
  }
}

/**
 * @param {string} key
 * @param {() => void} changed another page of this device has remembered something else there, or
 *   has forgotten it
 */
export function onRemembered(key, changed) {
  addEventListener("storage", (event) => {
    if (event.key === key || event.key === null) changed(); // null: everything was cleared
  });
}
