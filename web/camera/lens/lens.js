// The phone's camera and microphone: gets them, keeps them, and says in plain words why it cannot.
//
//   const lens = new Lens({
//     onvideo(track) {},      // MediaStreamTrack, or null while there is none
//     onaudio(track) {},
//     onmute(muted) {},       // the system gives no pictures just now (a call, another program, a hidden page)
//     onproblem(problem) {},  // a LensProblem, or null when it is over
//   }, {sound: true});
//   await lens.open();        // asks the person; never rejects, see onproblem
//
// A phone in a drawer has nobody to press "try again": whatever can pass by itself (a busy or unplugged camera, a track that ended) is
// tried again with back-off for as long as the lens is open. Only a refusal waits for a person. What looks well and gives nothing is
// noticed by watchdog.js, which has it taken anew.

import { browserOf, stepsToAllow } from "../../shared/page/browser-menus.js";

/** Sizes to ask for, best first, as `ideal`, so that a browser gives its nearest size instead of an OverconstrainedError;
 *  the lower rungs are for cameras that fail to start at a higher one. @type {Size[]} */
const LADDER = [
  { width: 1280, height: 720, fps: 30 },
  { width: 960, height: 540, fps: 30 },
  { width: 640, height: 480, fps: 30 },
  { width: 640, height: 480, fps: 15 },
];

/** The rung for a phone that is not known to be strong. */
const MODEST = 2;

/** Bits per second that 1280x720 needs, for asking the browser whether it encodes that smoothly. */
const STRONG_BITRATE = 2500000;

/** Cores from which a software encoder is trusted with 1280x720@30: a browser calls that smooth on almost any phone. */
const STRONG_CORES = 8;

/** Milliseconds a track may be muted before it counts: iOS mutes and unmutes a camera while it starts. */
const MUTE_GRACE = 1000;

/** Milliseconds before the first, and at most before any, new try to get a lost device. */
const FIRST_DELAY = 500;
const LONGEST_DELAY = 8000;

/** Milliseconds after which a browser that has not answered is asked again, if the person has allowed it; if not, it may well be waiting
 *  for the person, who is told so. Each time that it does not answer doubles them, at most so often: it keeps all those questions. */
const LONGEST_ASKING = 20000;
const MOST_DOUBLINGS = 3;

/** @typedef {{width: number, height: number, fps: number}} Size */
/** @typedef {"insecure" | "old" | "policy" | "refused" | "busy" | "missing" | "silent" | "failed"} ProblemId */
/** @typedef {{id: ProblemId, title: string, steps: string[], retries: boolean}} LensProblem
 *  retries: the lens goes on trying by itself */
/** muted: a call or the system keeps the microphone, which gives nothing meanwhile
 *  @typedef {"off" | "on" | "asking" | "refused" | "missing" | "busy" | "muted"} SoundState */
/** What the microphone does; silent: only zeros come out of it. @typedef {SoundState | "silent"} Hearing */

/** @type {Record<ProblemId, LensProblem>} */
const PROBLEMS = {
  insecure: {
    id: "insecure",
    title: "This address cannot film",
    steps: [
      "Browsers give the camera only to pages with a secure address, one that begins with https://.",
      "Start the relay with --tls and open the https:// address that it prints, or scan its code.",
    ],
    retries: false,
  },
  old: {
    id: "old",
    title: "This browser is too old to film",
    steps: [
      "It cannot record from a camera.",
      "Update it, or install a current Chrome or Firefox. On an iPhone, update to iOS 14.5 or later and use Safari.",
    ],
    retries: false,
  },
  policy: {
    id: "policy",
    title: "This page is inside another page",
    steps: ["The page around it does not let it use the camera. Open it by itself."],
    retries: false,
  },
  refused: {
    id: "refused",
    title: "The camera is not allowed",
    steps: stepsToAllow(browserOf(navigator), "Camera"),
    retries: false,
  },
  busy: {
    id: "busy",
    title: "The camera is in use",
    steps: [
      "Another app or another tab has the camera. Close it; this page takes the camera as soon as it is free.",
      "If nothing else uses it, restart the phone.",
    ],
    retries: true,
  },
  missing: {
    id: "missing",
    title: "No camera found",
    steps: ["This device has no camera, or its camera is unplugged or switched off. This page takes it as soon as it appears."],
    retries: true,
  },
  silent: {
    id: "silent",
    title: "The browser does not give the camera",
    steps: [
      "It says neither yes nor no. If it asks, allow the camera.",
      "If it does not ask, try again, or close this page and open it again. If it stays like this, restart the phone.",
    ],
    retries: true,
  },
  failed: {
    id: "failed",
    title: "The camera does not start",
    steps: ["This page goes on trying. If it stays like this, reload the page or restart the phone."],
    retries: true,
  },
};

/**
 * What keeps this page from filming before any device is asked for.
 * @returns {LensProblem | null}
 */
export function obstacle() {
  if (!window.isSecureContext) return PROBLEMS.insecure;
  if (!navigator.mediaDevices || !navigator.mediaDevices.getUserMedia || typeof MediaRecorder === "undefined") return PROBLEMS.old;
  const policy = /** @type {any} */ (document).featurePolicy;
  if (policy && !policy.allowsFeature("camera")) return PROBLEMS.policy;
  return null;
}

/**
 * The words for what getUserMedia was rejected with. Old browsers have other names for the same errors.
 * @param {any} error a DOMException
 * @returns {LensProblem}
 */
export function problemOf(error) {
  switch (error.name) {
    case "NotAllowedError":
    case "PermissionDeniedError":
    case "SecurityError":
      return window.top === window ? PROBLEMS.refused : PROBLEMS.policy;
    case "NotReadableError":
    case "TrackStartError":
    case "AbortError":
      return PROBLEMS.busy;
    case "NotFoundError":
    case "DevicesNotFoundError":
      return PROBLEMS.missing;
    default:
      return PROBLEMS.failed;
  }
}

/** Chromium lets a page turn a camera only if it asks so while it asks for the camera; `true` wants no place of it (W3C MediaStream Image
 *  Capture, "pan"). Other browsers are not asked: to them `true` might be the zoom 1. */
function movable() {
  const supported = /** @type {any} */ (navigator.mediaDevices.getSupportedConstraints());
  return supported.pan ? { pan: true, tilt: true, zoom: true } : {};
}

/** The same question in the two forms browsers know: the one about recorders, and the one about calls, which use the same encoder. */
const QUESTIONS = [
  { type: "record", contentType: "video/webm;codecs=vp8" },
  { type: "webrtc", contentType: "video/VP8" },
];

/**
 * The rung to start from: 1280x720 where the browser says that it encodes it smoothly and has the means to, else 640x480.
 * @returns {Promise<number>} an index into LADDER
 */
async function firstRung() {
  const { width, height, fps } = LADDER[0];
  for (const { type, contentType } of QUESTIONS) {
    const video = { contentType, width, height, framerate: fps, bitrate: STRONG_BITRATE };
    try {
      const info = await /** @type {any} */ (navigator).mediaCapabilities.encodingInfo({ type, video });
      const able = info.powerEfficient || (navigator.hardwareConcurrency || 1) >= STRONG_CORES;
      return info.supported && info.smooth && able ? 0 : MODEST;
    } catch (error) {
      // Chrome does not take "record", others not "webrtc", old ones neither
    }
  }
  return MODEST;
}

/** What the person has decided. @param {PermissionName} name @returns {Promise<PermissionState | "">} "" where the browser does not tell */
async function permissionOf(name) {
  try {
    return (await navigator.permissions.query({ name })).state;
  } catch (error) {
    return "";
  }
}

/** What to ask of the microphone. Noise suppression and gain control stay on: the common listener is a parent at a baby monitor or someone
 *  in another room, for whom a quiet voice above the hum is worth more than the 10 to 20 ms that the processing takes. Echo cancellation is
 *  off: the camera plays nothing, so there is no echo, and on phones it switches to the low-quality voice-call path. */
const MICROPHONE = { echoCancellation: false, noiseSuppression: true, autoGainControl: true };

/** Calls a function again and again with back-off until it is told to stop. */
class Retry {
  /** @param {() => void} action */
  constructor(action) {
    this.action = action;
    this.tries = 0;
    this.timer = 0;
  }

  later() {
    this.cancel();
    const delay = Math.min(LONGEST_DELAY, FIRST_DELAY * 2 ** this.tries);
    this.tries += 1;
    this.timer = setTimeout(this.action, delay);
  }

  /** Whatever comes next, the pauses go on growing. */
  cancel() {
    clearTimeout(this.timer);
  }

  /** All is well, or a person is there: the next pause is a short one. */
  stop() {
    this.cancel();
    this.tries = 0;
  }
}

export class Lens {
  /**
   * @param {{onvideo: (track: MediaStreamTrack | null) => void, onaudio: (track: MediaStreamTrack | null) => void,
   *          onmute: (muted: boolean) => void, onproblem: (problem: LensProblem | null) => void,
   *          onsound: (state: SoundState) => void}} handlers
   * @param {{sound: boolean, device?: string, size?: Partial<Size>}} wishes size: instead of the ladder, for tests and measurements
   */
  constructor(handlers, wishes) {
    this.handlers = handlers;
    /** @type {MediaStreamTrack | null} */
    this.video = null;
    /** @type {MediaStreamTrack | null} */
    this.audio = null;
    /** The picture's track gives nothing for longer than MUTE_GRACE. */
    this.muted = false;
    /** @type {SoundState} */
    this.sound = wishes.sound ? "asking" : "off";
    /** Identifiers of the cameras of this device, as far as the browser tells. @type {string[]} */
    this.devices = [];
    /** What the browser calls each of them, "" for what it does not tell. @type {string[]} */
    this.labels = [];
    this.device = wishes.device || "";
    this.soundWanted = wishes.sound;
    this.size = wishes.size || {};
    /** @type {number | null} */
    this.rung = null;
    this.opened = false;
    /** Let go for a while, see rest(). */
    this.resting = false;
    /** Which time of asking this is, whether it is not over yet, and whether it takes too long. */
    this.asks = 0;
    this.asking = false;
    this.hangs = false;
    this.hangTimer = 0;
    /** Times of asking in a row that took too long. */
    this.hung = 0;
    /** There was a picture once: the person has allowed it, also where browsers do not tell. */
    this.granted = false;
    /** Where it is turned to, in the browser's units. @type {import("../../shared/types.js").Place | null} */
    this.place = null;
    /** Whether this browser takes a size and a place in one. */
    this.mixes = true;
    /** What a weak network takes: the share of the sides, and pictures per second at most. */
    this.scale = 1;
    this.most = Infinity;
    /** The longer and the shorter side of the full picture, pixels. */
    this.full = [640, 480];
    this.muteTimer = this.hushTimer = 0;
    this.videoRetry = new Retry(() => this._acquire());
    this.audioRetry = new Retry(() => this._acquireSound());
    this.check = () => this._check();
    this.plugged = () => {
      if (!this.video) this._acquire();
      this._countDevices();
    };
  }

  /** Asks for the devices and keeps them from now on. */
  async open() {
    if (this.opened) return;
    const problem = obstacle();
    if (problem) {
      this.handlers.onproblem(problem);
      return;
    }
    this.opened = true;
    // iOS may come back without a visibilitychange: pageshow and focus tell as well.
    document.addEventListener("visibilitychange", this.check);
    addEventListener("pageshow", this.check);
    addEventListener("focus", this.check);
    navigator.mediaDevices.addEventListener("devicechange", this.plugged);
    await this._acquire();
  }

  /** Tries once more now, after a person has changed something. */
  async again() {
    this.videoRetry.stop();
    if (!this.opened) await this.open();
    else await this._acquire();
  }

  /** Takes the microphone anew. */
  async renewSound() {
    if (this.resting) return;
    this.audioRetry.stop();
    this._dropAudio();
    await this._acquireSound();
  }

  /** Lets camera and microphone go, so that they are dark and cool, until wake(). */
  rest() {
    if (this.resting) return;
    this.resting = true;
    this.videoRetry.stop();
    this.audioRetry.stop();
    this.handlers.onproblem(null);
    this._dropVideo();
    this._dropAudio();
  }

  /** Takes them again after rest(). */
  async wake() {
    if (!this.resting) return;
    this.resting = false;
    await this._acquire();
  }

  /** Makes the picture fit a network. @param {number} scale share of the full picture's sides @param {number} most pictures per second */
  async fit(scale, most) {
    if (scale === this.scale && most === this.most) return;
    this.scale = scale;
    this.most = most;
    await this._apply();
  }

  /** Turns and zooms the present track. @param {import("../../shared/types.js").Place} place @returns {Promise<boolean>} whether it took it */
  async aim(place) {
    this.place = place;
    if (this.mixes) return this._apply();
    try {
      await this._turn();
      return true;
    } catch (error) {
      return false;
    }
  }

  /** Of the camera of this device to which `next` changes. */
  get nextIndex() {
    const current = this.video ? this.video.getSettings().deviceId || "" : this.device;
    return (this.devices.indexOf(current) + 1) % this.devices.length;
  }

  /** Changes to the next camera of this device. @returns {Promise<string>} its identifier */
  async next() {
    this.device = this.devices[this.nextIndex] || "";
    await this._acquire();
    return this.device;
  }

  /** Goes down one rung, for a phone that is too slow for this one. @returns {Promise<boolean>} whether there was one */
  async lower() {
    const fixed = Object.keys(this.size).length > 0;
    if (fixed || !this.video || this.rung === null || this.rung + 1 >= LADDER.length) return false;
    this.rung += 1;
    const { width, height } = LADDER[this.rung];
    this.full = [width, height];
    return this._apply();
  }

  /** Asks the present track for the size and rate that are wanted now. @returns {Promise<boolean>} whether it took them */
  async _apply() {
    const track = this.video;
    if (!track) return false;
    const [width, height] = this.full.map((side) => Math.round((side * this.scale) / 2) * 2); // most encoders want even sizes
    const { fps } = this._wished();
    const rate = Math.min(fps, this.most);
    // The longer side is the width also while a phone is upright: so it was asked for first, and browsers turn it by themselves.
    const size = { width: { ideal: width }, height: { ideal: height } };
    try {
      await this._constrain(track, Object.assign(size, { frameRate: { ideal: rate, max: rate } }));
      return true;
    } catch (error) {
      return false; // the next start of the camera uses the rung
    }
  }

  /** What is not asked for again may be forgotten, so size and place go together; Chromium wants them one after the other.
   *  @param {MediaStreamTrack} track @param {MediaTrackConstraints} size */
  async _constrain(track, size) {
    const { place } = this;
    if (place && this.mixes) {
      try {
        await track.applyConstraints(/** @type {any} */ (Object.assign({ advanced: [place] }, size)));
        return;
      } catch (error) {
        // then one after the other
      }
    }
    await track.applyConstraints(size);
    if (!place) return;
    await this._turn();
    this.mixes = false;
  }

  async _turn() {
    if (this.video) await this.video.applyConstraints({ advanced: [/** @type {any} */ (this.place)] });
  }

  /** @returns {Size} what is asked for at this rung */
  _wished() {
    return Object.assign({}, LADDER[Math.min(this.rung || 0, LADDER.length - 1)], this.size);
  }

  /** Switches the sound on (asks for the microphone) or off (lets it go). @param {boolean} on */
  async setSound(on) {
    this.soundWanted = on;
    this.audioRetry.stop();
    if (on && this.resting) this._hear("on");
    else if (on) await this._acquireSound();
    else {
      this._dropAudio();
      this._hear("off");
    }
  }

  /** @returns {Promise<void>} */
  async _acquire() {
    if (!this.opened || this.resting || (this.asking && !this.hangs)) return;
    const ask = (this.asks += 1);
    this.asking = true;
    this._expectAnswer();
    this.videoRetry.cancel();
    this._dropVideo(); // most phones cannot open a second camera, nor the same one twice
    let problem = null;
    try {
      const stream = await this._ask(this.soundWanted && !this.audio);
      if (ask !== this.asks || this.resting) {
        for (const track of stream.getTracks()) track.stop(); // too late
      } else this._takeStream(stream);
    } catch (error) {
      console.warn("lens:", error);
      problem = problemOf(error);
    }
    if (ask !== this.asks) return;
    this.asking = this.hangs = false;
    this.hung = 0;
    clearTimeout(this.hangTimer);
    if (this.resting) return;
    this.handlers.onproblem(problem);
    if (!problem) await this._countDevices();
    else if (problem.retries) this.videoRetry.later();
  }

  /** Some browsers, asked for a camera, say nothing any more. An answer that comes late after all counts, unless they were asked again. */
  _expectAnswer() {
    this.hangs = false;
    clearTimeout(this.hangTimer);
    this.hangTimer = setTimeout(() => {
      if (document.visibilityState === "visible") this._despair(this.asks);
      else this._expectAnswer(); // browsers let hidden pages wait
    }, LONGEST_ASKING * 2 ** Math.min(this.hung, MOST_DOUBLINGS));
  }

  /** @param {number} ask that was not answered */
  async _despair(ask) {
    this.hangs = true;
    this.hung += 1;
    if (this.resting) return; // wake() asks again
    this.handlers.onproblem(PROBLEMS.silent);
    const allowed = this.granted || (await permissionOf("camera")) === "granted";
    if (allowed && ask === this.asks && this.asking) this.videoRetry.later();
  }

  /** @param {MediaStream} stream */
  _takeStream(stream) {
    this._takeVideo(stream.getVideoTracks()[0]);
    const microphone = stream.getAudioTracks()[0];
    if (microphone) this._takeAudio(microphone);
    this.videoRetry.tries = 0;
    if (this.scale < 1 || this.most < Infinity) this._apply();
  }

  /**
   * One prompt for both devices where possible; without the microphone where that is what fails.
   * @param {boolean} withSound
   */
  async _ask(withSound) {
    if (!withSound) return this._climbDown(false);
    try {
      return await this._climbDown(true);
    } catch (error) {
      if ((await permissionOf("camera")) === "denied") throw error; // asking again would only be refused again
      const stream = await this._climbDown(false); // the camera alone works: the microphone was the trouble
      this._hear(soundTrouble(error));
      return stream;
    }
  }

  /** @param {boolean} withSound @returns {Promise<MediaStream>} */
  async _climbDown(withSound) {
    if (this.rung === null) this.rung = await firstRung();
    const audio = withSound ? MICROPHONE : false;
    for (;;) {
      try {
        return await navigator.mediaDevices.getUserMedia({ audio, video: this._picture(this.rung) });
      } catch (error) {
        const { name } = /** @type {DOMException} */ (error);
        if (name === "OverconstrainedError" && this.device) {
          this.device = ""; // unplugged, or the browser has given its cameras new identifiers
          continue;
        }
        const hopeful = ["OverconstrainedError", "NotReadableError", "AbortError", "TypeError"].includes(name);
        if (!hopeful) throw error;
        if (this.rung >= LADDER.length) {
          this.rung = null; // the next try starts from the top
          throw error;
        }
        // A size the camera cannot do costs one rung; a camera that does not start is not worth five waits.
        this.rung = name === "OverconstrainedError" ? this.rung + 1 : LADDER.length;
      }
    }
  }

  /** @param {number} rung one past the ladder: anything @returns {MediaTrackConstraints | true} */
  _picture(rung) {
    // The one `exact`: a camera that a person chose must not lose to another one that has a nearer size.
    const chosen = { deviceId: { exact: this.device } };
    if (rung >= LADDER.length) return this.device ? chosen : true;
    const size = this._wished();
    return Object.assign(this.device ? chosen : { facingMode: { ideal: "environment" } }, movable(), {
      width: { ideal: size.width },
      height: { ideal: size.height },
      frameRate: { ideal: size.fps },
    });
  }

  async _acquireSound() {
    if (!this.opened || this.resting || this.audio || !this.soundWanted) return;
    this._hear("asking");
    try {
      const stream = await navigator.mediaDevices.getUserMedia({ audio: MICROPHONE });
      const track = stream.getAudioTracks()[0];
      if (this.soundWanted && !this.audio && !this.resting) this._takeAudio(track);
      else track.stop(); // switched off while the browser asked
    } catch (error) {
      console.warn("microphone:", error);
      const state = soundTrouble(error);
      this._hear(state);
      if (state !== "refused") this.audioRetry.later();
    }
  }

  /** @param {MediaStreamTrack} track */
  _takeVideo(track) {
    this.video = track;
    this.granted = true;
    const { width = 640, height = 480 } = track.getSettings();
    this.full = [Math.max(width, height), Math.min(width, height)];
    if ("contentHint" in track) track.contentHint = "motion"; // rather fewer details than fewer pictures
    track.onended = () => {
      this._dropVideo();
      this.videoRetry.later();
    };
    track.onmute = () => {
      clearTimeout(this.muteTimer);
      this.muteTimer = setTimeout(() => this._mute(track.muted), MUTE_GRACE);
    };
    track.onunmute = () => {
      clearTimeout(this.muteTimer);
      this._mute(false);
    };
    if (track.muted) track.onmute(new Event("mute")); // then there is no event
    this.handlers.onvideo(track);
  }

  /** @param {MediaStreamTrack} track */
  _takeAudio(track) {
    this.audio = track;
    this.audioRetry.tries = 0;
    track.onended = () => {
      this._dropAudio();
      this._hear("busy");
      this.audioRetry.later();
    };
    track.onmute = () => {
      clearTimeout(this.hushTimer);
      this.hushTimer = setTimeout(() => track.muted && this._hear("muted"), MUTE_GRACE);
    };
    track.onunmute = () => {
      clearTimeout(this.hushTimer);
      this._hear("on");
    };
    // One that comes muted is not well before it says so: it may have been taken anew during a call.
    if (track.muted) track.onmute(new Event("mute"));
    else this._hear("on");
    this.handlers.onaudio(track);
  }

  _dropVideo() {
    clearTimeout(this.muteTimer);
    const track = this.video;
    if (!track) return;
    track.onended = track.onmute = track.onunmute = null;
    track.stop();
    this.video = this.place = null;
    this.handlers.onvideo(null);
    this._mute(false); // no track is not a muted one; said last, so that nobody thinks the old track is back
  }

  _dropAudio() {
    clearTimeout(this.hushTimer);
    const track = this.audio;
    if (!track) return;
    track.onended = track.onmute = track.onunmute = null;
    track.stop();
    this.audio = null;
    this.handlers.onaudio(null);
  }

  /** After a page was away: tracks may have ended, or stay muted for ever (iOS), without an event. */
  _check() {
    const track = this.video;
    if (document.visibilityState !== "visible" || !track) return;
    if (track.readyState === "ended") this._acquire();
    else if (track.muted) {
      setTimeout(() => {
        if (this.video === track && track.muted && document.visibilityState === "visible") this._acquire();
      }, MUTE_GRACE);
    }
  }

  async _countDevices() {
    try {
      const all = await navigator.mediaDevices.enumerateDevices();
      const cameras = all.filter((device) => device.kind === "videoinput");
      this.devices = cameras.map((device) => device.deviceId);
      this.labels = cameras.map((device) => device.label);
    } catch (error) {
      this.devices = this.labels = [];
    }
  }

  /** @param {boolean} muted */
  _mute(muted) {
    if (muted === this.muted) return;
    this.muted = muted;
    this.handlers.onmute(muted);
  }

  /** @param {SoundState} state */
  _hear(state) {
    this.sound = state;
    this.handlers.onsound(state);
  }
}

/** @param {any} error @returns {SoundState} */
function soundTrouble(error) {
  const { id } = problemOf(error);
  if (id === "refused" || id === "policy") return "refused";
  return id === "missing" ? "missing" : "busy";
}
