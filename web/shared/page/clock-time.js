// Times of day as people write them, in this device's time and language.

/**
 * @param {number} moment ms since the epoch
 * @returns {string} such as 01:14, with the day when it was not today
 */
export function timeOf(moment) {
  const date = new Date(moment);
  const time = date.toLocaleTimeString([], { hour: "2-digit", minute: "2-digit" });
  const day = new Date();
  if (date.toDateString() === day.toDateString()) return time;
  day.setDate(day.getDate() - 1);
  if (date.toDateString() === day.toDateString()) return `${time} yesterday`;
  return `${time} on ${date.toLocaleDateString([], { weekday: "long", day: "numeric", month: "long" })}`;
}

/** @param {number} moment ms since the epoch @returns {string} such as at 01:14 */
export function clockTime(moment) {
  return `at ${timeOf(moment)}`;
}
