// The camera's page: joins the lens, the filming and what a person sees and touches.

import { chooseEncoder } from "./ability.js";
import { Filming } from "./filming.js";
import { Lens } from "./lens.js";
import { Overload } from "./overload.js";
import { openSession, useKey } from "./session.js";
import { WakeLock } from "./wakelock.js";
import { Stillness, Watchdog, troubleOf } from "./watchdog.js";

/** Names of cameras, as in docs/protocol.md. */
const NAME = /^[a-z0-9][a-z0-9-]{0,31}$/;
const LONGEST_NAME = 32;

/** Milliseconds: between two tries to reach the relay for the session, between two moves of the dark screen's text. */
const SESSION_RETRY = 2000;
const DARK_MOVE = 60000;

/** Places the dark screen's text moves between (camera.css). */
const DARK_PLACES = 4;

/** Keys of localStorage. */
const STORED_NAME = "drawercam.name";
const STORED_SOUND = "drawercam.sound";
const STORED_DEVICE = "drawercam.lens";
const STORED_REST = "drawercam.rest";

const query = new URLSearchParams(location.search);

/** @param {string} id @returns {any} */
const find = (id) => document.getElementById(id);

const page = {
  camera: find("camera"),
  picture: find("picture"),
  note: find("note"),
  panel: find("panel"),
  panelTitle: find("panel-title"),
  panelSteps: find("panel-steps"),
  panelActions: find("panel-actions"),
  keyForm: find("key-form"),
  key: find("key"),
  keyHint: find("key-hint"),
  setup: find("setup"),
  name: find("name"),
  nameHint: find("name-hint"),
  rest: find("rest"),
  start: find("start"),
  onair: find("onair"),
  title: find("title"),
  status: find("status"),
  detail: find("detail"),
  viewers: find("viewers"),
  clock: find("clock"),
  sound: find("sound"),
  soundHint: find("sound-hint"),
  encoder: find("encoder"),
  lens: find("lens"),
  dim: find("dim"),
  stop: find("stop"),
  dark: find("dark"),
  darkText: find("dark-text"),
};

// What is remembered. A browser that blocks storage forgets, and works.

/** @param {string} key */
function recall(key) {
  try {
    return localStorage.getItem(key) || "";
  } catch (error) {
    return "";
  }
}

/** @param {string} key @param {string} value */
function remember(key, value) {
  try {
    localStorage.setItem(key, value);
  } catch (error) {
    // private browsing
  }
}

// Names

/** Turns what a person types into a name: "Front Door" is front-door. @param {string} text */
function toName(text) {
  return text
    .normalize("NFD") // é is e and an accent, which goes
    .toLowerCase()
    .replace(/[\s_.]+/g, "-")
    .replace(/[^a-z0-9-]/g, "")
    .replace(/^-+/, "")
    .slice(0, LONGEST_NAME);
}

/** A name nobody else has chosen, so that one touch is enough. */
function freshName() {
  return `camera-${1000 + Math.floor(Math.random() * 9000)}`;
}

// Panels: one thing to know, and what to do about it

/** @typedef {{label: string, primary?: boolean, act?: () => void, href?: string}} Action */

/** What a panel can be about, the most pressing first: without a secure address, a key would not help. */
const SUBJECTS = ["never", "key", "lens", "ended"];

/** What there is to say about each subject. @type {Map<string, {title: string, steps: string[], actions: Action[]}>} */
const panels = new Map();

/** The subject on show. */
let subject = "";

/** @param {string} about @param {string} title @param {string[]} steps @param {Action[]} [actions] */
function showPanel(about, title, steps, actions = []) {
  panels.set(about, { title, steps, actions });
  if (subject === about) subject = ""; // it has news
  drawPanel();
}

/** @param {string} about */
function hidePanel(about) {
  if (panels.delete(about)) drawPanel();
}

function drawPanel() {
  const pressing = SUBJECTS.find((about) => panels.has(about)) || "";
  const panel = panels.get(pressing);
  page.panel.hidden = !panel;
  if (panel && pressing !== subject) {
    page.panelTitle.textContent = panel.title;
    page.panelSteps.textContent = page.panelActions.textContent = "";
    for (const step of panel.steps) {
      const line = document.createElement("p");
      line.textContent = step;
      page.panelSteps.append(line);
    }
    for (const action of panel.actions) page.panelActions.append(actionElement(action));
    page.keyForm.hidden = pressing !== "key";
  }
  subject = pressing;
  arrange();
}

/** @param {Action} action */
function actionElement({ label, primary, act, href }) {
  const element = document.createElement(href ? "a" : "button");
  element.textContent = label;
  element.className = primary ? "button primary" : "button";
  if (href) {
    element.setAttribute("href", href);
    element.setAttribute("target", "_blank");
    element.setAttribute("rel", "noopener");
  } else {
    element.setAttribute("type", "button");
    element.addEventListener("click", act);
  }
  return element;
}

/** @param {string} text */
function note(text) {
  write(page.note, text);
  page.note.hidden = text === "";
}

// The lens

let lensMuted = false;
let lensStill = false;

/** Of the present track; "" until its first picture. */
let pictureSize = "";

const lens = new Lens(
  {
    onvideo(track) {
      pictureSize = "";
      page.picture.srcObject = track ? new MediaStream([track]) : null;
      if (track) note("");
      show();
    },
    onaudio: () => show(),
    onmute(muted) {
      lensMuted = muted;
      show();
    },
    onproblem(problem) {
      if (!problem) {
        hidePanel("lens");
        autostart();
        return;
      }
      note("");
      const never = problem.id === "insecure" || problem.id === "old";
      const alone = { label: "Open by itself", primary: true, href: location.href };
      const again = { label: "Try again", primary: true, act: askForLens };
      showPanel(never ? "never" : "lens", problem.title, problem.steps, never ? [] : [problem.id === "policy" ? alone : again]);
    },
    onsound: () => showSound(),
  },
  {
    sound: query.has("sound") ? query.get("sound") !== "0" : recall(STORED_SOUND) !== "off",
    device: recall(STORED_DEVICE),
    size: wishedSize(),
  },
);

/** `?width=&height=&fps=`, for tests and measurements. */
function wishedSize() {
  /** @type {Record<string, number>} */
  const size = {};
  for (const side of ["width", "height", "fps"]) {
    const value = Number(query.get(side));
    if (value > 0) size[side] = value;
  }
  return size;
}

async function askForLens() {
  hidePanel("lens");
  note("Asking for the camera. If the browser asks, allow it.");
  await lens.again();
  arrange();
}

/** @returns {import("./filming.js").Tracks} */
function tracks() {
  return { video: lens.video, audio: lens.audio, muted: lensMuted, still: lensStill };
}

/** The lens has other tracks, or gives nothing for a while. */
function show() {
  if (filming) filming.show(tracks());
  arrange();
}

const SOUND_WORDS = {
  off: ["Sound off", ""],
  on: ["Sound on", ""],
  asking: ["Sound …", ""],
  refused: ["No sound", "The microphone is not allowed, so this camera films without sound."],
  missing: ["No sound", "No microphone found, so this camera films without sound."],
  busy: ["No sound", "The microphone is in use elsewhere. This camera films without sound until it is free."],
};

function showSound() {
  const [label, hint] = SOUND_WORDS[lens.sound];
  page.sound.textContent = label;
  page.sound.setAttribute("aria-pressed", String(lens.sound === "on"));
  page.soundHint.textContent = hint;
  page.soundHint.hidden = hint === "";
}

// The relay's key

/** @type {import("./session.js").Session | null} */
let session = null;

async function askSession() {
  try {
    session = await openSession();
  } catch (error) {
    setTimeout(askSession, SESSION_RETRY); // the relay is away; the link says so when filming
    return;
  }
  if (session.camera) {
    hidePanel("key");
    autostart();
  } else askForKey();
  arrange();
}

function askForKey() {
  showPanel("key", "This relay asks for its camera key", ["Scan the code in the relay's terminal with this phone, or type the key."]);
}

async function submitKey() {
  if (page.key.value.trim() === "") {
    page.key.focus();
    return;
  }
  page.keyHint.textContent = "";
  try {
    const answer = await useKey(page.key.value);
    if (answer && answer.camera) {
      session = answer;
      page.key.value = "";
      hidePanel("key");
      if (!lens.video) await askForLens();
      autostart();
    } else if (answer) page.keyHint.textContent = "This is the key for watching. Filming has its own.";
    else page.keyHint.textContent = "The relay does not know this key. Look for a typing error.";
  } catch (error) {
    page.keyHint.textContent = "The relay does not answer. Is it running, and is this phone in its network?";
  }
}

// The encoder

/** Asked once for the page: the phone stays the same. @type {Promise<import("./ability.js").Choice> | null} */
let asked = null;

/** Tests changed lenses at most so often: somebody who plays with "Other lens" is not waited for. */
const MOST_TESTS = 3;

/** What films best here, or what the address asks for: `?encoder=codecs`, `vp8`, `avc1`, `vp09` or `recorder`, and `?mime=` is a
 *  recorder's. `?sound=recorder` asks for one for the sound. */
function encoderChoice() {
  if (!asked) asked = testEncoders(query.get("encoder") || (query.get("mime") ? "recorder" : ""));
  return asked;
}

/** @param {string} forced */
async function testEncoders(forced) {
  for (let test = 1; ; test += 1) {
    const track = /** @type {MediaStreamTrack} */ (lens.video);
    const choice = await chooseEncoder(track, page.picture, forced);
    if (query.get("sound") === "recorder") choice.sound = false;
    if (track === lens.video || !lens.video || test === MOST_TESTS) {
      const codec = choice.codecs[0] || "";
      const delays = choice.delays[codec || "recorder"];
      const delay = delays && typeof delays === "object" ? delays.median : null;
      const none = { dropped: { encoder: 0, network: 0 }, restarts: { video: 0, audio: 0 } };
      showEncoder({ encoder: choice.encoder, codec, delay, remark: choice.remark, ...none });
      return choice;
    }
  }
}

/** Milliseconds for which it is said that pictures were left out. */
const LATELY = 10000;

/** Milliseconds between two such moments at least. */
const DROPS_STEP = 200;

/** What was left out in all, as of some moments: fifty at most. @type {{at: number, dropped: import("./recorder.js").Dropped}[]} */
let drops = [];

/** @param {import("./recorder.js").Dropped} dropped in all @returns {import("./recorder.js").Dropped} in the last ten seconds */
function dropsLately(dropped) {
  const now = performance.now();
  const last = drops[drops.length - 1];
  if (last && (dropped.network < last.dropped.network || dropped.encoder < last.dropped.encoder)) drops = []; // another engine
  if (drops.length === 0 || now - drops[drops.length - 1].at >= DROPS_STEP) drops.push({ at: now, dropped });
  while (now - drops[0].at > LATELY) drops.shift();
  const { network, encoder } = drops[0].dropped;
  return { network: dropped.network - network, encoder: dropped.encoder - encoder };
}

/** What people call the codecs. */
const CODEC_WORDS = { vp8: "VP8", vp09: "VP9", avc1: "H.264" };

/** @param {Pick<import("./filming.js").Status, "encoder" | "codec" | "delay" | "dropped" | "remark" | "restarts">} facts */
function showEncoder({ encoder, codec, delay, dropped, remark, restarts }) {
  page.camera.dataset.encoder = encoder;
  page.camera.dataset.codec = codec;
  if (encoder === "") return;
  const name = encoder === "codecs" ? `WebCodecs, ${CODEC_WORDS[/** @type {"vp8"} */ (codec.split(".")[0])]}` : "the browser’s recorder";
  const parts = [`Films with ${name}`];
  if (delay !== null) parts.push(`${delay < 9.5 ? delay.toFixed(1) : Math.round(delay)} ms a picture`);
  const lately = dropsLately(dropped);
  if (lately.network > 0) parts.push(`network too slow for ${lately.network} pictures`);
  if (lately.encoder > 0) parts.push(`phone too busy for ${lately.encoder} pictures`);
  const begun = restarts.video + restarts.audio + lensWatch.count + soundWatch.count;
  if (begun > 0) parts.push(`begun afresh ${begun === 1 ? "once" : `${begun} times`}`);
  write(page.encoder, (remark ? `${remark} ` : "") + parts.join(" · "));
}

// Filming

/** @type {Filming | null} */
let filming = null;

/** Whether the lens sleeps as well while nobody watches: `?rest=lens` or `encoder`, or the box on the page. */
let restsLens = (query.get("rest") || recall(STORED_REST)) === "lens";
let cameraName = "";
let wantsStart = query.get("start") === "1";

const wake = new WakeLock(() => undefined);

/** `?start=1` films as soon as there is a picture and the relay lets this browser in. */
function autostart() {
  if (!wantsStart || filming || !lens.video || !session || !session.camera) return;
  startFilming();
}

function startFilming() {
  const name = toName(page.name.value).replace(/-+$/, "");
  if (!NAME.test(name)) {
    wantsStart = false;
    page.nameHint.textContent = "Give this camera a name, such as porch.";
    page.name.focus();
    return;
  }
  if (session && !session.camera) {
    askForKey();
    return;
  }
  wantsStart = false;
  cameraName = page.name.value = name;
  remember(STORED_NAME, name);
  page.title.textContent = name;
  hidePanel("ended");
  setAddress(true);
  const onfit = (/** @type {number} */ scale, /** @type {number} */ most) => lens.fit(scale, most);
  const handlers = { onstatus: showStatus, onend: ended, onfit };
  filming = new Filming(name, handlers, { choice: encoderChoice(), mime: query.get("mime") || "" });
  restarts = { video: 0, audio: 0 };
  wake.hold();
  filming.show(tracks());
  filming.start();
  arrange();
}

function stopFilming() {
  const ending = filming;
  filming = null; // first: closing the link calls back
  if (ending) ending.stop();
  lens.fit(1, Infinity);
  lens.wake();
  note("");
  wake.release();
  setAddress(false);
  leaveDark();
  arrange();
}

/** The relay has ended it for good. @param {string} reason */
function ended(reason) {
  stopFilming();
  if (reason === "taken-over") {
    showPanel(
      "ended",
      `Another phone is “${cameraName}” now`,
      ["It has started filming under this name, and a name belongs to one camera at a time. This phone has stopped."],
      [
        { label: "Take it back", primary: true, act: startFilming },
        { label: "Use another name", act: chooseName },
      ],
    );
  } else {
    const again = { label: "Start again", primary: true, act: startFilming };
    showPanel("ended", "The relay has said good-bye", ["Filming has stopped."], [again]);
  }
}

function chooseName() {
  hidePanel("ended");
  page.name.focus();
  page.name.select();
}

/** A reload, also one by a phone that is short of memory, goes on filming. @param {boolean} on */
function setAddress(on) {
  if (on) {
    query.set("name", cameraName);
    query.set("start", "1");
  } else query.delete("start");
  const text = query.toString();
  history.replaceState(null, "", location.pathname + (text ? `?${text}` : "") + location.hash);
}

const overload = new Overload();

/** A phone that is too slow for the picture's size gets a smaller one. Pictures that the network costs are not the phone's fault: there the
 *  network's steps (uplink.js) come first, which relieve the phone, too. @param {import("./filming.js").Status} status */
function watchLoad(status) {
  const shown = picturesShown();
  if (status.state !== "live" || status.thin || dropsLately(status.dropped).network > 0 || shown === null) overload.reset();
  else if (overload.judge(shown, status.fps, performance.now())) lens.lower();
}

/** @returns {number | null} pictures that the preview has shown so far, null where it cannot be told */
function picturesShown() {
  const { picture } = page;
  if (picture.paused || !picture.getVideoPlaybackQuality) return null;
  return picture.getVideoPlaybackQuality().totalVideoFrames || null;
}

// What stands still

const lensWatch = new Watchdog();
const soundWatch = new Watchdog();
const stillness = new Stillness();

/** How often an engine has begun afresh, as far as the page has said so. */
let restarts = { video: 0, audio: 0 };

/** What was done lately about something that stood still, and until when it is said. */
let news = "";
let newsUntil = 0;

/** Milliseconds for which it is said. */
const NEWS = 8000;

/** Pictures per second that prove that the lens moves, whatever the preview shows; where they cannot be counted, ms since the last byte. */
const FLOWING_RATE = 3;
const FLOWING_SILENCE = 1500;

/** Milliseconds between two tries to keep the screen on, and when the last one was. */
const SCREEN_RETRY = 10000;
let screenAt = -Infinity;

const NEWS_WORDS = {
  ended: "The camera was lost and taken again.",
  muted: "The camera gave no picture and was started anew.",
  still: "The camera stood still and was started anew.",
  silent: "No picture came out of the encoder, so the camera was started anew.",
};

/** @param {string} text */
function tell(text) {
  news = text;
  newsUntil = performance.now() + NEWS;
}

/** Takes anew what gives nothing. @param {import("./filming.js").Status} status */
function watchTracks(status) {
  const now = performance.now();
  const hidden = document.visibilityState !== "visible";
  const filmed = status.state === "live" || status.state === "starting" || status.reason === "interrupted";
  const expected = filmed && !hidden && !status.held;
  const { silence, fps } = status;
  const flows = fps === null ? silence.video < FLOWING_SILENCE : fps >= FLOWING_RATE;
  const still = stillness.look(expected && lens.video && !lensMuted ? picturesShown() : null, now) && !flows;
  if (still !== lensStill) {
    lensStill = still;
    show();
  }
  const sight = troubleOf({
    ended: lens.hangs || (lens.video !== null && lens.video.readyState === "ended"),
    muted: lensMuted,
    silence: silence.video,
    still,
  });
  if (lensWatch.look(expected ? sight : null, now)) {
    tell(NEWS_WORDS[/** @type {"still"} */ (sight)]);
    lens.again();
  } else if (status.restarts.video > restarts.video) tell("The encoder stood still and was started anew.");
  const sound = lens.audio;
  const hearing = sound
    ? troubleOf({ ended: sound.readyState === "ended", muted: sound.muted, silence: silence.audio, still: false })
    : "";
  if (soundWatch.look(expected && sound ? hearing : null, now)) {
    tell("The microphone gave nothing and was started anew.");
    lens.renewSound();
  } else if (status.restarts.audio > restarts.audio) tell("The sound stood still and was started anew.");
  restarts = status.restarts;
}

/** The system may take the lock on the screen away at any time, and a phone that sleeps cannot be woken up. */
function watchScreen() {
  const now = performance.now();
  if (wake.state !== "none" || now - screenAt < SCREEN_RETRY) return;
  screenAt = now;
  wake.shown();
}

/** Lets the lens go while nobody watches, if that is wanted, and takes it again. @param {import("./filming.js").Status} status */
function watchRest({ state, reason }) {
  if (state === "gone" || state === "connecting") return; // nobody knows who watches
  const rests = restsLens && state === "paused" && reason === "unwatched";
  if (rests) lens.rest();
  else lens.wake();
  if (lens.resting) note("The lens is off. It wakes up as soon as somebody watches.");
  else if (page.picture.srcObject) note("");
}

// What filming looks like

/** @param {import("./filming.js").Status} status @returns {[string, string, string]} state for the colour, headline, detail */
function statusWords(status) {
  const lately = performance.now() < newsUntil ? news : "";
  const waiting = "This page goes on trying. Is the relay running, and is this phone in its network?";
  const back = "It will be back in a moment, and filming goes on by itself.";
  if (status.state === "gone" && status.restarting) return ["connecting", "The relay is restarting", back];
  if (status.state === "connecting") return ["connecting", "Connecting", ""];
  if (status.state === "gone") return ["gone", "The relay does not answer", waiting];
  if (status.state === "paused") {
    if (status.reason === "viewers") return ["paused", "Paused by the viewers", `${whoPauses(status)} Filming goes on as soon as it can.`];
    if (status.reason === "unwatched") return ["paused", "Asleep, nobody is watching", "It wakes up as soon as somebody watches."];
    if (status.reason === "background") return ["paused", "Paused, page is hidden", "Come back to this page to go on."];
    return ["paused", "Paused, no picture", lately || "A call or another app has the camera. It comes back by itself."];
  }
  if (status.failure) return ["gone", "The recorder does not work", status.failure];
  if (status.state === "starting") return ["connecting", "Starting", lately];
  if (lately) return ["live", "Live", lately];
  const remarks = [status.slow ? slowWords(status) : numbers(status)];
  if (status.mute) remarks.push("this browser cannot record sound");
  return ["live", "Live", remarks.join(" · ")];
}

/** @param {import("./filming.js").Status} status @returns {string} a sentence */
function whoPauses({ pause }) {
  const { by, votes, watching } = pause || { by: [], votes: 0, watching: 0 };
  if (votes > 1) return `${votes} of ${watching} viewers cannot keep up.`;
  return `${by[0] || "A viewer"} cannot keep up.`;
}

/** @param {import("./filming.js").Status} status */
function slowWords({ held, fps, bitsPerSecond }) {
  if (held) return "Slow network: waiting until it has caught up";
  const { videoWidth, videoHeight } = page.picture;
  const rate = fps === null ? "" : `${Math.round(fps)} pictures/s, `;
  return `Slow network: ${videoWidth} × ${videoHeight}, ${rate}${bitRate(bitsPerSecond)}`;
}

/** @param {import("./filming.js").Status} status */
function showStatus(status) {
  watchTracks(status);
  watchRest(status);
  watchScreen();
  const [state, headline, detail] = statusWords(status);
  const viewers = viewerWords(status);
  page.status.dataset.state = page.camera.dataset.state = state;
  write(page.status, headline);
  write(page.detail, detail);
  if (status.encoder) showEncoder(status);
  write(page.viewers, viewers);
  write(page.clock, duration(performance.now() - status.since));
  write(page.darkText, [cameraName, headline.toLowerCase(), viewers, "touch to wake"].filter(Boolean).join(" · "));
  watchLoad(status);
  if (status.state === "gone" && sessionIsOld()) checkSession();
}

/** @param {import("./filming.js").Status} status @returns {string} empty while only the relay could know */
function viewerWords({ state, viewers }) {
  if (state === "gone" || state === "connecting") return "";
  return viewers === 1 ? "1 viewer" : `${viewers} viewers`;
}

/** Text is set only when it changes: a screen reader would read it again. @param {HTMLElement} element @param {string} text */
function write(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

/** @param {import("./filming.js").Status} status */
function numbers({ fps, bitsPerSecond }) {
  const rate = bitRate(bitsPerSecond);
  return fps === null ? rate : `${Math.round(fps)} pictures/s · ${rate}`;
}

/** @param {number} bitsPerSecond */
function bitRate(bitsPerSecond) {
  return bitsPerSecond >= 995000 ? `${(bitsPerSecond / 1e6).toFixed(1)} Mbit/s` : `${Math.round(bitsPerSecond / 1000)} kbit/s`;
}

/** @param {number} ms @returns {string} such as 4:05 or 1:04:05 */
function duration(ms) {
  const seconds = Math.floor(ms / 1000);
  const two = (/** @type {number} */ value) => String(value).padStart(2, "0");
  const hours = Math.floor(seconds / 3600);
  const minutes = Math.floor(seconds / 60) % 60;
  return hours > 0 ? `${hours}:${two(minutes)}:${two(seconds % 60)}` : `${minutes}:${two(seconds % 60)}`;
}

let sessionCheckedAt = 0;

/** A browser does not tell why a WebSocket was refused; a relay that was restarted with other keys refuses the cookie. */
function sessionIsOld() {
  return performance.now() - sessionCheckedAt > SESSION_RETRY;
}

async function checkSession() {
  sessionCheckedAt = performance.now();
  try {
    const answer = await openSession();
    session = answer;
    if (!answer.camera && filming) {
      stopFilming();
      wantsStart = true;
      askForKey();
    }
  } catch (error) {
    // away: the link goes on trying
  }
}

/** Shows the parts that belong to what is going on. */
function arrange() {
  const onAir = filming !== null;
  const blocked = subject !== "" && subject !== "ended" && !onAir;
  page.camera.dataset.mode = onAir ? "filming" : "setup";
  page.camera.dataset.panel = blocked ? "blocking" : String(subject !== "");
  page.setup.hidden = onAir;
  page.onair.hidden = page.stop.hidden = page.dim.hidden = !onAir;
  page.lens.hidden = lens.devices.length < 2;
  page.start.disabled = lens.video === null;
}

// Dark screen

let darkTimer = 0;

function goDark() {
  page.dark.hidden = false;
  page.dark.focus();
  darkTimer = setInterval(() => {
    page.darkText.dataset.corner = String((Number(page.darkText.dataset.corner) + 1) % DARK_PLACES);
  }, DARK_MOVE);
  const root = document.documentElement;
  if (root.requestFullscreen) root.requestFullscreen({ navigationUI: "hide" }).catch(() => undefined); // the browser's bars shine too
}

function leaveDark() {
  if (page.dark.hidden) return;
  clearInterval(darkTimer);
  page.dark.hidden = true;
  if (document.fullscreenElement) document.exitFullscreen().catch(() => undefined);
  if (filming) page.dim.focus();
}

// Touches

page.setup.addEventListener("submit", (/** @type {Event} */ event) => {
  event.preventDefault();
  if (!page.start.disabled) startFilming();
});

page.keyForm.addEventListener("submit", (/** @type {Event} */ event) => {
  event.preventDefault();
  submitKey();
});

page.name.addEventListener("input", () => {
  const { value, selectionEnd } = page.name;
  const kind = toName(value);
  if (kind !== value) {
    const caret = toName(value.slice(0, selectionEnd)).length; // stays behind the same letter
    page.name.value = kind;
    page.name.setSelectionRange(caret, caret);
  }
  page.nameHint.textContent = "";
});

page.rest.addEventListener("change", () => {
  restsLens = page.rest.checked;
  remember(STORED_REST, restsLens ? "lens" : "encoder");
  if (query.has("rest")) query.set("rest", restsLens ? "lens" : "encoder");
});

page.sound.addEventListener("click", () => {
  const on = lens.sound === "off" || lens.sound === "refused" || lens.sound === "missing";
  remember(STORED_SOUND, on ? "on" : "off");
  lens.setSound(on);
});

page.lens.addEventListener("click", async () => {
  page.lens.disabled = true;
  remember(STORED_DEVICE, await lens.next());
  page.lens.disabled = false;
});

// The first picture: time to find out what films best, while a person reads the page.
page.picture.addEventListener("loadeddata", () => {
  if (lens.video) encoderChoice();
});

page.picture.addEventListener("resize", () => {
  const size = `${page.picture.videoWidth}x${page.picture.videoHeight}`;
  if (pictureSize && size !== pictureSize && filming) filming.resized(); // the phone was turned
  pictureSize = size;
  overload.reset();
});

page.stop.addEventListener("click", stopFilming);
page.dim.addEventListener("click", goDark);
page.dark.addEventListener("click", leaveDark);
addEventListener("keydown", (event) => {
  if (event.key === "Escape") leaveDark();
});

// A page that goes away says good-bye; one that comes back out of the browser's memory films on.
addEventListener("pagehide", () => {
  if (!filming) return;
  filming.stop();
  filming = null;
  wantsStart = true;
});
addEventListener("pageshow", (event) => {
  if (!event.persisted) return;
  lens.wake();
  autostart();
});

find("boot").remove();
page.name.value = toName(query.get("name") || recall(STORED_NAME)) || freshName();
page.rest.checked = restsLens;
showSound();
askSession();
askForLens();
