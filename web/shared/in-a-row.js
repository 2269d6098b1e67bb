/** @param {string[]} parts @param {string} between the last two, such as "and"
 *  @returns {string} such as "gate, porch and attic" */
export function inARow(parts, between) {
  const last = parts[parts.length - 1];
  if (parts.length < 2) return last || "";
  return `${parts.slice(0, -1).join(", ")} ${between} ${last}`;
}
