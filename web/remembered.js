// What a page remembers from one visit to the next. A browser that blocks storage forgets, and works.

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
