// Whether a camera films under a name already: a person who taps "Start filming" is asked before
// that one is sent away.

/**
 * Milliseconds for the relay's answer. Without one the page films, and takes the name over: a
 * person who wants to film must not wait.
 */
const PATIENCE = 2000;

/** @param {string} name @returns {Promise<boolean>} false, too, where the relay does not say */
export function isOnAir(name) {
  const asked = fetch(`/api/cameras/${name}/on-air`, { credentials: "same-origin" })
    .then((answer) => (answer.ok ? answer.json() : { onAir: false }))
    .then(({ onAir }) => onAir === true)
    .catch(() => false);
  const late = new Promise((resolve) => {
    setTimeout(() => resolve(false), PATIENCE);
  });
  return Promise.race([asked, late]);
}
