// The page's title, which is all that is seen of a page behind others: what is wrong stands there
// instead of what the page is.

/** What the page calls itself. */
const usual = document.title;

/** What is wrong, by what it is about. @type {Map<string, string>} */
const troubles = new Map();

/**
 * @param {string} about such as "relay"; what concerns the whole page is told as "relay", and
 *   stands first
 * @param {string} text what is wrong with it, "" for nothing
 */
export function titleSays(about, text) {
  if (text) troubles.set(about, text);
  else troubles.delete(about);
  const title = troubles.get("relay") || [...troubles.values()][0] || usual;
  // To set it is news, also where it is the same.
  if (document.title !== title) document.title = title;
}
