// The phone's camera and microphone: gets them, keeps them, and says in plain words why it cannot.
//
//   const lens = new Lens({
//     onvideo(track) {},      // MediaStreamTrack, or null while there is none
//     onaudio(track) {},
//     // the system gives no pictures just now (a call, another program, a hidden page)
//     onmute(muted) {},
//     onproblem(problem) {},  // a LensProblem, or null when it is over
//   }, {sound: true});
//   await lens.open();        // asks the person; never rejects, see onproblem
//
// A phone in a drawer has nobody to press "try again": whatever can pass by itself (a busy or
// unplugged camera, a track that ended) is tried again with back-off for as long as the lens is
// open. Only a refusal waits for a person. What looks well and gives nothing is noticed by
// watchdog.js, which has it taken anew.

import { Constraints } from "./constraints.js";
import { MICROPHONE, MUTE_GRACE, Microphone } from "./microphone.js";
import { PROBLEMS, obstacle, problemOf } from "./lens-problem.js";
import { PictureSize } from "./picture-size.js";
import { Retry } from "./retry.js";

/**
 * Milliseconds after which a browser that has not answered is asked again, if the person has
 * allowed it; if not, it may well be waiting for the person, who is told so. Each time that it does
 * not answer doubles them, at most so often: it keeps all those questions.
 */
const LONGEST_ASKING = 20000;
const MOST_DOUBLINGS = 3;

/** @typedef {import("./lens-problem.js").LensProblem} LensProblem */
/** @typedef {import("./microphone.js").SoundState} SoundState */

/**
 * Chromium lets a page turn a camera only if it asks so while it asks for the camera; `true` wants
 * no place of it (W3C MediaStream Image Capture, "pan"). Other browsers are not asked: to them
 * `true` might be the zoom 1.
 */
function movable() {
  const supported = /** @type {any} */ (navigator.mediaDevices.getSupportedConstraints());
  return supported.pan ? { pan: true, tilt: true, zoom: true } : {};
}

/**
 * What the person has decided.
 * @param {PermissionName} name
 * @returns {Promise<PermissionState | "">} "" where the browser does not tell
 */
async function permissionOf(name) {
  try {
    return (await navigator.permissions.query({ name })).state;
  } catch (error) {
    return "";
  }
}

export class Lens {
  /**
   * @param {{onvideo: (track: MediaStreamTrack | null) => void, onaudio: (track: MediaStreamTrack |
   *          null) => void, onmute: (muted: boolean) => void, onproblem: (problem: LensProblem |
   *          null) => void, onsound: (state: SoundState) => void}} handlers
   * @param {{sound: boolean, device?: string, size?: Partial<import("./picture-size.js").Size>}}
   *        wishes size: instead of the ladder, for tests and measurements
   */
  constructor(handlers, wishes) {
    this.handlers = handlers;
    /** @type {MediaStreamTrack | null} */
    this.video = null;
    /** The picture's track gives nothing for longer than MUTE_GRACE. */
    this.muted = false;
    this.microphone = new Microphone(handlers, wishes.sound);
    /** Identifiers of the cameras of this device, as far as the browser tells. @type {string[]} */
    this.devices = [];
    /** What the browser calls each of them, "" for what it does not tell. @type {string[]} */
    this.labels = [];
    this.device = wishes.device || "";
    this.size = new PictureSize(wishes.size || {});
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
    this.constraints = new Constraints();
    this.muteTimer = 0;
    this.videoRetry = new Retry(() => this._acquire());
    this.check = () => this._check();
    this.plugged = () => {
      if (!this.video) this._acquire();
      this._countDevices();
    };
  }

  /** The microphone's track, or null while there is none. */
  get audio() {
    return this.microphone.track;
  }

  /** What the microphone does. */
  get sound() {
    return this.microphone.state;
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
    this.microphone.allow();
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
    await this.microphone.renew();
  }

  /** Lets camera and microphone go, so that they are dark and cool, until wake(). */
  rest() {
    if (this.resting) return;
    this.resting = true;
    this.videoRetry.stop();
    this.handlers.onproblem(null);
    this._dropVideo();
    this.microphone.rest();
  }

  /** Takes them again after rest(). */
  async wake() {
    if (!this.resting) return;
    this.resting = false;
    this.microphone.wake();
    await this._acquire();
  }

  /**
   * Makes the picture fit a network.
   * @param {number} scale share of the full picture's sides
   * @param {number} most pictures per second
   */
  async fit(scale, most) {
    if (this.size.fit(scale, most)) await this._apply();
  }

  /**
   * Turns and zooms the present track.
   * @param {import("../../shared/types.js").Place} place
   * @returns {Promise<boolean>} whether it took it
   */
  async aim(place) {
    this.constraints.place = place;
    if (this.constraints.mixes) return this._apply();
    return this.video === null || this.constraints.turn(this.video);
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

  /**
   * Goes down one rung, for a phone that is too slow for this one.
   * @returns {Promise<boolean>} whether there was one
   */
  async lower() {
    if (!this.video || !this.size.lower()) return false;
    return this._apply();
  }

  /**
   * Asks the present track for the size and rate that are wanted now.
   * @returns {Promise<boolean>} whether it took them
   */
  async _apply() {
    return this.video !== null && this.constraints.apply(this.video, this.size.present);
  }

  /** Switches the sound on (asks for the microphone) or off (lets it go). @param {boolean} on */
  async setSound(on) {
    await this.microphone.set(on);
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
      const stream = await this._ask(this.microphone.lacks);
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

  /**
   * Some browsers, asked for a camera, say nothing any more. An answer that comes late after all
   * counts, unless they were asked again.
   */
  _expectAnswer() {
    this.hangs = false;
    clearTimeout(this.hangTimer);
    this.hangTimer = setTimeout(
      () => {
        if (document.visibilityState === "visible") this._despair(this.asks);
        else this._expectAnswer(); // browsers let hidden pages wait
      },
      LONGEST_ASKING * 2 ** Math.min(this.hung, MOST_DOUBLINGS),
    );
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
    if (microphone) this.microphone.take(microphone);
    this.videoRetry.tries = 0;
    if (this.size.reduced) this._apply();
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
      // Asking again would only be refused again.
      if ((await permissionOf("camera")) === "denied") throw error;
      // The camera alone works: the microphone was the trouble.
      const stream = await this._climbDown(false);
      this.microphone.fail(error);
      return stream;
    }
  }

  /** @param {boolean} withSound @returns {Promise<MediaStream>} */
  async _climbDown(withSound) {
    await this.size.begin();
    const audio = withSound ? MICROPHONE : false;
    for (;;) {
      try {
        return await navigator.mediaDevices.getUserMedia({ audio, video: this._picture() });
      } catch (error) {
        const { name } = /** @type {DOMException} */ (error);
        // Unplugged, or the browser has given its cameras new identifiers.
        if (name === "OverconstrainedError" && this.device) this.device = "";
        else if (!this.size.failed(name)) throw error;
      }
    }
  }

  /** @returns {MediaTrackConstraints | true} */
  _picture() {
    // The one `exact`: a camera that a person chose must not lose to another one that has a nearer
    // size.
    const chosen = { deviceId: { exact: this.device } };
    if (this.size.any) return this.device ? chosen : true;
    const which = this.device ? chosen : { facingMode: { ideal: "environment" } };
    return Object.assign(which, movable(), this.size.constraints);
  }

  /** @param {MediaStreamTrack} track */
  _takeVideo(track) {
    this.video = track;
    this.granted = true;
    this.size.taken(track.getSettings());
    // Rather fewer details than fewer pictures.
    if ("contentHint" in track) track.contentHint = "motion";
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

  _dropVideo() {
    clearTimeout(this.muteTimer);
    const track = this.video;
    if (!track) return;
    track.onended = track.onmute = track.onunmute = null;
    track.stop();
    this.video = this.constraints.place = null;
    this.handlers.onvideo(null);
    // No track is not a muted one; said last, so that nobody thinks the old track is back.
    this._mute(false);
  }

  /**
   * After a page was away: tracks may have ended, or stay muted for ever (iOS), without an event.
   */
  _check() {
    const track = this.video;
    if (document.visibilityState !== "visible" || !track) return;
    if (track.readyState === "ended") this._acquire();
    else if (track.muted) {
      setTimeout(() => {
        if (this.video === track && track.muted && document.visibilityState === "visible")
          this._acquire();
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
}
