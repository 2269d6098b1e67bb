// The camera's page: joins the lens, the filming and what a person sees and touches.
// Long, because it joins all parts of the page; what each of them does stands in its own file.

import "../../guard.js";
import { relay } from "../../shared/relay/absence.js";
import { Care } from "./recovery.js";
import { DarkScreen } from "./dark-screen.js";
import { Drops } from "../publish/recent-drops.js";
import { EncoderChoice } from "../encode/encoder-choice.js";
import { Filming, STOPPED } from "../publish/filming.js";
import { signpost } from "../../shared/relay/moved-relay.js";
import { KeyDesk } from "./key-form.js";
import { Lens } from "../lens/lens.js";
import { lensName } from "./lens-words.js";
import { setText } from "../../shared/page/elements.js";
import { LOOK, LevelMeter } from "../lens/level-meter.js";
import { isOnAir } from "./on-air.js";
import { Overload } from "../lens/slow-phone.js";
import { Panels } from "./panels.js";
import { recall, remember } from "../../shared/page/stored.js";
import { lastSession } from "../../shared/relay/login.js";
import { endedPanel, keyPanel, relayPanel, takenPanel, unkeptPanel } from "./panel-words.js";
import { SelfTest } from "./self-test.js";
import { SelfTestSheet } from "./self-test-sheet.js";
import { SetupForm } from "./setup-form.js";
import { SoundButton } from "./sound-button.js";
import { StatusView } from "./status-view.js";
import { titleSays } from "../../shared/page/title.js";
import { Turning } from "../lens/pan-tilt-zoom.js";
import { picturesOf } from "../../shared/page/silent-video.js";
import { version } from "../../shared/page/version.js";
import { WakeLock } from "../../shared/page/wake-lock.js";

/**
 * Milliseconds without the relay after which the page offers to look for the cause: several tries
 * have failed by then.
 */
const OFFER_AFTER = 8000;

/** Keys of localStorage. */
const STORED_SOUND = "drawercam.sound";
const STORED_DEVICE = "drawercam.lens";

const query = new URLSearchParams(location.search);

/** @param {string} id @returns {any} */
const find = (id) => document.getElementById(id);

const page = {
  camera: find("camera"),
  picture: find("picture"),
  note: find("note"),
  setup: find("setup"),
  start: find("start"),
  onair: find("onair"),
  title: find("title"),
  heading: find("heading"),
  lens: find("lens"),
  lensLabel: find("lens-label"),
  check: find("check"),
  signpost: find("signpost"),
  dim: find("dim"),
  stop: find("stop"),
  darkText: find("dark-text"),
};

/** @param {string} text */
function note(text) {
  setText(page.note, text);
  page.note.hidden = text === "";
}

// What stands in the way, the most pressing first: without a secure address, a key would not help.

const panels = new Panels(
  {
    panel: find("panel"),
    title: find("panel-title"),
    steps: find("panel-steps"),
    actions: find("panel-actions"),
  },
  ["never", "relay", "unkept", "key", "lens", "ended", "newer"],
  { key: find("key-form") },
  arrange,
);

/** @param {string} about @param {import("./panels.js").Panel} panel */
const say = (about, { title, steps, actions }) => panels.show(about, title, steps, actions);

const checkAction = { label: "Check this phone", act: () => sheet.open() };

// The lens

let lensMuted = false;

/** What it said last that keeps it from filming.
 *  @type {import("../lens/lens-problem.js").LensProblem | null} */
let lensProblem = null;

/** Of the present track; "" until its first picture. */
let pictureSize = "";

const lens = new Lens(
  {
    onvideo(track) {
      pictureSize = "";
      page.picture.srcObject = track ? new MediaStream([track]) : null;
      if (track) note("");
      turning.take(track);
      show();
    },
    onaudio(track) {
      meter.listen(track);
      show();
    },
    onmute(muted) {
      lensMuted = muted;
      show();
    },
    onproblem: showLensProblem,
    onsound() {
      listen();
      sound.show();
      show();
    },
  },
  {
    sound: query.has("sound") ? query.get("sound") !== "0" : recall(STORED_SOUND) !== "off",
    device: recall(STORED_DEVICE),
    size: wishedSize(),
  },
);

// The microphone, beside what films

const meter = new LevelMeter();

const sound = new SoundButton(
  {
    button: find("sound"),
    icon: find("sound-icon"),
    label: find("sound-label"),
    hint: find("sound-hint"),
    level: find("level"),
  },
  meter,
  {
    sound: () => lens.sound,
    onheard: show,
    ontap(on) {
      remember(STORED_SOUND, on ? "on" : "off");
      lens.setSound(on);
    },
  },
);

function listen() {
  sound.look(performance.now(), document.visibilityState === "visible");
  if (filming) filming.hears(meter.loudest);
}

setInterval(listen, LOOK);

const turning = new Turning({
  aim: (place) => lens.aim(place),
  ontell: (axes) => filming && filming.turns(axes),
});

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
  panels.hide("lens");
  note("Asking for the camera. If the browser asks, allow it.");
  await lens.again();
  arrange();
}

/** @param {import("../lens/lens-problem.js").LensProblem | null} problem */
function showLensProblem(problem) {
  lensProblem = problem;
  if (!problem) {
    panels.hide("lens");
    autostart();
    return;
  }
  note("");
  const never = problem.id === "insecure" || problem.id === "old";
  const alone = { label: "Open by itself", primary: true, href: location.href };
  const again = { label: "Try again", primary: true, act: askForLens };
  const first = never ? [] : [problem.id === "policy" ? alone : again];
  panels.show(never ? "never" : "lens", problem.title, problem.steps, [...first, checkAction]);
}

/** The lens has other tracks, or gives nothing for a while. */
function show() {
  if (filming)
    filming.show({
      video: lens.video,
      audio: lens.audio,
      muted: lensMuted,
      still: care.still,
      sound: sound.hearing,
    });
  arrange();
}

/**
 * @returns {number | null} pictures that the preview has shown so far, null where it cannot be told
 */
function picturesShown() {
  const { picture } = page;
  const pictures = picture.paused ? null : picturesOf(picture);
  return (pictures && pictures.total) || null;
}

// The relay's key

/** The relay takes the key no more with which this phone has filmed. */
let lostKey = false;

const desk = new KeyDesk(
  { form: find("key-form"), key: find("key"), hint: find("key-hint") },
  {
    async onallowed(typed) {
      lostKey = false;
      isThere();
      for (const about of ["unkept", "key", "ended"]) panels.hide(about);
      if (typed && !lens.video) await askForLens();
      autostart();
      arrange();
    },
    onasked: askForKey,
    onaway: showAway,
    onlost() {
      if (!filming) return;
      stopFilming();
      wantsStart = lostKey = true;
      askForKey();
    },
  },
);

/** What was said last of a relay that is not to be had. */
let awaySaid = "";

/**
 * The relay is not to be had before filming.
 * @param {import("../../shared/relay/absence.js").Refusal | null} refusal what it says itself
 */
function showAway(refusal) {
  const panel = relayPanel(refusal, relay.away(), checkAction);
  if (filming || !panel) return; // while it films, its status says so
  const words = panel.title + panel.steps[0];
  if (words === awaySaid) return;
  awaySaid = words;
  say("relay", panel);
}

function isThere() {
  awaySaid = "";
  panels.hide("relay");
}

function askForKey() {
  isThere();
  const again = { label: "Try again", primary: true, act: () => desk.open() };
  const unkept = unkeptPanel(desk.session, again, checkAction);
  if (unkept) {
    say("unkept", unkept);
    return;
  }
  panels.hide("unkept");
  say("key", keyPanel(desk.session, lostKey, checkAction));
}

// The encoder

const drops = new Drops();

const status = new StatusView(
  {
    camera: page.camera,
    status: find("status"),
    detail: find("detail"),
    viewers: find("viewers"),
    clock: find("clock"),
    dark: page.darkText,
    encoder: find("encoder"),
  },
  drops,
);

const encoders = new EncoderChoice(lens, page.picture, query, (choice) => {
  const codec = choice.codecs[0] || "";
  const result = choice.delays[codec || "recorder"];
  const delay = result && typeof result === "object" ? result.median : null;
  const none = { dropped: { encoder: 0, network: 0 }, restarts: { video: 0, audio: 0 } };
  const facts = { encoder: choice.encoder, codec, delay, remark: choice.remark, ...none };
  status.showEncoder(facts, care.count, performance.now());
});

// Filming

/** @type {Filming | null} */
let filming = null;
/** What it films as, and what a person calls it. */
let cameraName = "";
let cameraLabel = "";
let wantsStart = query.get("start") === "1";

/** When the relay was there last, ms of performance.now(). */
let reachedAt = 0;

const setup = new SetupForm(
  {
    form: page.setup,
    name: find("name"),
    made: find("name-made"),
    hint: find("name-hint"),
    rest: find("rest"),
    start: page.start,
  },
  query,
  tapStart,
);
const care = new Care(lens, picturesShown, show);
const overload = new Overload();
const wake = new WakeLock(() => undefined);

/** `?start=1` films as soon as there is a picture and the relay lets this browser in. */
function autostart() {
  if (wantsStart && !filming && lens.video && desk.allowed) startFilming();
}

/**
 * A person has tapped "Start filming". What starts by itself, or was asked before, asks nothing.
 */
async function tapStart() {
  const chosen = wantsStart || !desk.allowed ? null : setup.choose();
  if (!chosen) {
    startFilming();
    return;
  }
  panels.hide("ended");
  page.start.setAttribute("aria-busy", "true");
  const taken = await isOnAir(chosen.name);
  page.start.removeAttribute("aria-busy");
  if (filming) return; // a second tap was faster
  if (!taken) {
    startFilming();
    return;
  }
  const over = { label: "Film here instead", act: startFilming };
  const other = { label: "Use another name", primary: true, act: chooseName };
  say("ended", takenPanel(chosen.label, over, other));
}

function startFilming() {
  const chosen = setup.choose();
  if (!chosen) {
    wantsStart = false;
    return;
  }
  if (desk.refused) {
    askForKey();
    return;
  }
  wantsStart = false;
  const { name, label } = chosen;
  cameraName = name;
  cameraLabel = label;
  page.title.textContent = label;
  panels.hide("ended");
  setAddress(true);
  const onfit = (/** @type {number} */ scale, /** @type {number} */ most) => lens.fit(scale, most);
  const onorient = (/** @type {import("../../shared/types.js").Place} */ wish) =>
    turning.turn(wish);
  const handlers = { onstatus: showStatus, onend: ended, onfit, onorient };
  filming = new Filming(name, handlers, {
    choice: encoders.ask(),
    label,
    mime: query.get("mime") || "",
  });
  reachedAt = performance.now();
  care.begin();
  wake.hold();
  show();
  filming.turns(turning.axes);
  filming.start();
  showNewer();
  arrange();
}

/** @param {string} [reason] see Filming.stop */
function stopFilming(reason) {
  const ending = filming;
  filming = null; // first: closing the link calls back
  if (ending) ending.stop(reason);
  lens.fit(1, Infinity);
  lens.wake();
  note("");
  wake.release();
  setAddress(false);
  dark.leave();
  titleSays("relay", "");
  showNewer();
  arrange();
}

/** The relay has ended it for good. @param {string} reason */
function ended(reason) {
  const moved = filming !== null && filming.link.settled !== null;
  stopFilming();
  const there = moved ? signpost(lastSession()) : "";
  const facts = { label: cameraLabel, session: desk.session, there };
  const panel = endedPanel(reason, facts, { again: startFilming, rename: chooseName });
  if (panel) {
    say("ended", panel);
    return;
  }
  wantsStart = lostKey = true;
  desk.open(); // which asks for another one
}

function chooseName() {
  panels.hide("ended");
  setup.focus();
}

/** A reload, also one by a phone that is short of memory, goes on filming. @param {boolean} on */
function setAddress(on) {
  if (on) {
    query.set("name", cameraLabel);
    query.set("start", "1");
  } else query.delete("start");
  const text = query.toString();
  history.replaceState(null, "", location.pathname + (text ? `?${text}` : "") + location.hash);
}

/**
 * A phone that is too slow for the picture's size gets a smaller one. Pictures that the network
 * costs are not the phone's fault: there the network's steps (network-pace.js) come first, which
 * relieve the phone, too.
 * @param {import("../publish/filming.js").Status} status
 */
function watchLoad(status) {
  const now = performance.now();
  const shown = picturesShown();
  if (
    status.state !== "live" ||
    status.thin ||
    drops.lately(status.dropped, now).network > 0 ||
    shown === null
  )
    overload.reset();
  else if (overload.judge(shown, status.fps, now)) lens.lower();
}

/**
 * Lets the lens go while nobody watches, if that is wanted, and takes it again.
 * @param {import("../publish/filming.js").Status} status
 */
function watchRest({ state, reason }) {
  if (state === "gone" || state === "connecting") {
    // Till then nobody knows who does.
    if (lens.resting)
      note("The lens is off. It wakes up when the relay is back and somebody watches.");
    return;
  }
  const rests = setup.restsLens && state === "paused" && reason === "unwatched";
  if (rests) lens.rest();
  else lens.wake();
  if (lens.resting) note("The lens is off. It wakes up as soon as somebody watches.");
  else if (page.picture.srcObject) note("");
}

/** Whether the browser refuses WebSockets, so that the link goes by ordinary requests. */
function goesByRequests() {
  return filming !== null && filming.link.transport === "http";
}

/** @param {import("../publish/filming.js").Status} told */
function showStatus(told) {
  const now = performance.now();
  care.look(told, { muted: lensMuted, now });
  watchRest(told);
  wake.look(now);
  const { videoWidth: width, videoHeight: height } = page.picture;
  const facts = {
    news: care.news(now),
    width,
    height,
    byRequests: goesByRequests(),
    newer: version.stuck,
    label: cameraLabel,
    soundTrouble: sound.trouble,
    begun: care.count,
  };
  const headline = status.show(told, facts, now);
  watchLoad(told);
  const off = told.state === "gone" || told.state === "connecting";
  titleSays("relay", off && (told.away || told.refusal) ? headline : "");
  if (!off || told.failure) reachedAt = now;
  const known = told.away !== null || told.refusal !== null;
  const lost = off && (known || now - reachedAt >= OFFER_AFTER);
  const way = lost && !told.refusal ? signpost(lastSession()) : "";
  page.signpost.hidden = way === "";
  if (way) page.signpost.href = way;
  if (told.state === "gone") desk.check();
}

/** Shows the parts that belong to what is going on. */
function arrange() {
  const onAir = filming !== null;
  const { subject } = panels;
  const blocked = subject !== "" && subject !== "ended" && subject !== "newer" && !onAir;
  page.camera.dataset.mode = onAir ? "filming" : "setup";
  page.camera.dataset.panel = blocked ? "blocking" : String(subject !== "");
  page.setup.hidden = page.heading.hidden = onAir;
  page.onair.hidden = page.stop.hidden = page.dim.hidden = !onAir;
  if (!onAir) page.signpost.hidden = true;
  page.lens.hidden = lens.devices.length < 2;
  if (!page.lens.hidden) setText(page.lensLabel, `Use ${lensName(lens.labels, lens.nextIndex)}`);
  page.start.disabled = lens.video === null;
}

// The self-test

const sheet = new SelfTestSheet(
  {
    sheet: find("selftest"),
    under: page.camera,
    title: find("selftest-title"),
    summary: find("selftest-summary"),
    lines: find("selftest-lines"),
    text: find("selftest-text"),
    copy: find("selftest-copy"),
    again: find("selftest-again"),
    close: find("selftest-close"),
  },
  () =>
    new SelfTest({
      lens,
      preview: page.picture,
      problem: () => lensProblem,
      filming: () =>
        filming
          ? { status: filming.status, screen: wake.state, byRequests: goesByRequests() }
          : null,
      ready: () => (lens.video ? encoders.ask() : Promise.resolve()),
    }),
  () => {
    if (
      !filming &&
      !lens.video &&
      lensProblem &&
      lensProblem.id !== "insecure" &&
      lensProblem.id !== "old"
    )
      askForLens();
  },
);

// A newer version of this page: a camera that films goes on as it is, and so does one whose browser
// would ask for the lens again, because a phone in a drawer has nobody who answers.

version.follow({
  mayReload: async () =>
    filming === null &&
    !wantsStart &&
    ["", "newer"].includes(panels.subject) &&
    find("selftest").hidden &&
    (await isGranted()),
  onstuck: showNewer,
});

/**
 * Whether a page that is loaded anew gets the lens, and the microphone if it is wanted, without a
 * question.
 */
async function isGranted() {
  const devices = lens.sound === "off" ? ["camera"] : ["camera", "microphone"];
  try {
    const ask = (/** @type {any} */ name) => navigator.permissions.query({ name });
    return (await Promise.all(devices.map(ask))).every(({ state }) => state === "granted");
  } catch (error) {
    return false; // it does not say
  }
}

function showNewer() {
  const rests = version.stuck && filming === null;
  const steps = [
    "This one works as before. Reload it when it suits you: the browser may ask for the camera again.",
  ];
  const reload = { label: "Reload the page", act: () => location.reload() };
  if (rests) panels.show("newer", "There is a newer version of this page", steps, [reload]);
  else panels.hide("newer");
}

// Touches

page.lens.addEventListener("click", async () => {
  page.lens.disabled = true;
  remember(STORED_DEVICE, await lens.next());
  page.lens.disabled = false;
});

// The first picture: time to find out what films best, while a person reads the page.
page.picture.addEventListener("loadeddata", () => {
  if (lens.video) encoders.ask();
});

page.picture.addEventListener("resize", () => {
  const size = `${page.picture.videoWidth}x${page.picture.videoHeight}`;
  if (pictureSize && size !== pictureSize && filming) filming.resized(); // the phone was turned
  pictureSize = size;
  overload.reset();
});

const dark = new DarkScreen(
  { sheet: find("dark-sheet"), screen: find("dark"), text: page.darkText, under: page.camera },
  () => {
    if (filming) page.dim.focus();
  },
);

page.stop.addEventListener("click", () => stopFilming(STOPPED));
page.dim.addEventListener("click", () => dark.enter());
page.check.addEventListener("click", () => sheet.open());

// A page that goes away says good-bye, but not that it was switched off; one that comes back out of
// the browser's memory films on.
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

sound.show();
desk.open();
askForLens();
