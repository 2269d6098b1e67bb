// The middle one of some numbers: what is usual, which one outlier does not change.

/** @param {number[]} values @returns {number | null} null of none */
export function median(values) {
  if (values.length === 0) return null;
  return values.slice().sort((a, b) => a - b)[values.length >> 1];
}
