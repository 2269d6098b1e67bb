// The first module of every page. It takes away what the HTML says of a page that does not start,
// and tells when its script fails later: a page must not go on looking well when nothing in it
// moves any more.
//
//   import "./guard.js";             // before all others
//   import { fail } from "./guard.js";
//   // what cannot be caught where it happens, such as the end of a worker
//   fail(reason);

const boot = document.getElementById("boot");
if (boot) boot.remove();

/** What was read and closed is not shown once more. */
let closed = "";

/** @param {string} reason for whoever helps; the first one is shown until it is closed */
export function fail(reason) {
  if (reason === closed || document.getElementById("failure")) return;
  const panel = document.createElement("section");
  panel.id = "failure";
  panel.className = "panel alarm";
  panel.setAttribute("role", "alert");
  const title = document.createElement("h2");
  title.textContent = "This page has failed";
  const advice = document.createElement("p");
  advice.textContent =
    "Something in it went wrong, and it may stand still. Reload it. If it fails again, update this browser or use another one.";
  const detail = document.createElement("p");
  detail.className = "quiet";
  detail.textContent = reason;
  const actions = document.createElement("p");
  actions.className = "alarm-actions";
  const reload = button("Reload the page", () => location.reload());
  reload.classList.add("primary");
  const close = button("Close", () => {
    closed = reason;
    panel.remove();
  });
  actions.append(reload, close);
  panel.append(title, advice, detail, actions);
  document.body.append(panel);
}

/** @param {string} label @param {() => void} act */
function button(label, act) {
  const element = document.createElement("button");
  element.type = "button";
  element.textContent = label;
  element.addEventListener("click", act);
  return element;
}

/**
 * A browser's extensions run in the page, too, and their faults are none of its own.
 * @param {unknown} origin where it happened
 */
function isForeign(origin) {
  return String(origin).includes("-extension://");
}

addEventListener("error", ({ error, filename }) => {
  // Without an error: what a script of elsewhere did, of which nothing is told, or a ResizeObserver
  // that goes on in the next frame.
  if (error && !isForeign(filename)) fail(String(error));
});

addEventListener("unhandledrejection", ({ reason }) => {
  if (!isForeign(reason && reason.stack)) fail(String(reason));
});
