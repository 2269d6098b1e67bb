// Keeps the list of relays true without a reload: the same page again, of which the list is taken.

const boot = document.getElementById("boot"); // that there is no script, shown after a while
if (boot) boot.remove();

/** Milliseconds between two looks: half of a relay's heartbeat. */
const INTERVAL = 5000;

/** @param {string} id @returns {any} */
const byId = (id) => document.getElementById(id);

const away = byId("away");

async function look() {
  if (document.hidden) return;
  try {
    const answer = await fetch(location.href, { redirect: "manual" });
    // The relay that was wanted here is back; the reload goes there, with the key behind the #.
    if (answer.type === "opaqueredirect") return location.reload();
    const fresh = /** @type {any} */ (
      new DOMParser().parseFromString(await answer.text(), "text/html").getElementById("relays")
    );
    const shown = byId("relays");
    // What is open stays open, and what is selected stays selected, as long as there is nothing new
    // to read.
    if (fresh.textContent !== shown.textContent) shown.replaceWith(fresh);
    away.hidden = true;
  } catch (error) {
    away.hidden = false;
  }
}

setInterval(look, INTERVAL);
document.addEventListener("visibilitychange", look);
