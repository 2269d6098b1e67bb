// The phone's microphone, which the lens asks for together with the camera where that is possible,
// and by itself where not.
//
//   const microphone = new Microphone({ onaudio(track) {}, onsound(state) {} }, wanted);
//   microphone.allow();             // from now on it may ask the person
//   await microphone.set(on);
//
// A microphone that is busy, unplugged or taken away is asked for again with back-off.

import { problemOf } from "./lens-problem.js";
import { Retry } from "./retry.js";

/** muted: a call or the system keeps the microphone, which gives nothing meanwhile
 *  @typedef {"off" | "on" | "asking" | "refused" | "missing" | "busy" | "muted"} SoundState */
/**
 * What the microphone does; silent: only zeros come out of it.
 * @typedef {SoundState | "silent"} Hearing
 */

/**
 * Milliseconds a track may be muted before it counts: iOS mutes and unmutes a camera while it
 * starts.
 */
export const MUTE_GRACE = 1000;

/**
 * What to ask of the microphone. Noise suppression and gain control stay on: the common listener is
 * a parent at a baby monitor or someone in another room, for whom a quiet voice above the hum is
 * worth more than the 10 to 20 ms that the processing takes. Echo cancellation is off: the camera
 * plays nothing, so there is no echo, and on phones it switches to the low-quality voice-call path.
 */
export const MICROPHONE = {
  echoCancellation: false,
  noiseSuppression: true,
  autoGainControl: true,
};

export class Microphone {
  /**
   * @param {{onaudio: (track: MediaStreamTrack | null) => void,
   *          onsound: (state: SoundState) => void}} handlers
   * @param {boolean} wanted
   */
  constructor(handlers, wanted) {
    this.handlers = handlers;
    /** @type {MediaStreamTrack | null} */
    this.track = null;
    /** @type {SoundState} */
    this.state = wanted ? "asking" : "off";
    this.wanted = wanted;
    this.allowed = false;
    /** Let go for a while, see rest(). */
    this.resting = false;
    this.hushTimer = 0;
    this.retry = new Retry(() => this._acquire());
  }

  /** It is wanted, and is not there. */
  get lacks() {
    return this.wanted && !this.track;
  }

  /** From now on the browser may be asked for it. */
  allow() {
    this.allowed = true;
  }

  /** Asks for it (on), or lets it go. @param {boolean} on */
  async set(on) {
    this.wanted = on;
    this.retry.stop();
    if (on && this.resting) this._tell("on");
    else if (on) await this._acquire();
    else {
      this._drop();
      this._tell("off");
    }
  }

  /** Takes it anew. */
  async renew() {
    if (this.resting) return;
    this.retry.stop();
    this._drop();
    await this._acquire();
  }

  /** Lets it go until wake(); what it does is not told anew. */
  rest() {
    this.resting = true;
    this.retry.stop();
    this._drop();
  }

  /** It may be asked for again. */
  wake() {
    this.resting = false;
  }

  /** Has got it. @param {MediaStreamTrack} track */
  take(track) {
    this.track = track;
    this.retry.tries = 0;
    track.onended = () => {
      this._drop();
      this._tell("busy");
      this.retry.later();
    };
    track.onmute = () => {
      clearTimeout(this.hushTimer);
      this.hushTimer = setTimeout(() => track.muted && this._tell("muted"), MUTE_GRACE);
    };
    track.onunmute = () => {
      clearTimeout(this.hushTimer);
      this._tell("on");
    };
    // One that comes muted is not well before it says so: it may have been taken anew during a
    // call.
    if (track.muted) track.onmute(new Event("mute"));
    else this._tell("on");
    this.handlers.onaudio(track);
  }

  /** Could not be had. @param {any} error of getUserMedia */
  fail(error) {
    this._tell(stateAfter(error));
  }

  async _acquire() {
    if (!this.allowed || this.resting || !this.lacks) return;
    this._tell("asking");
    try {
      const stream = await navigator.mediaDevices.getUserMedia({ audio: MICROPHONE });
      const track = stream.getAudioTracks()[0];
      if (this.lacks && !this.resting) this.take(track);
      else track.stop(); // switched off while the browser asked
    } catch (error) {
      console.warn("microphone:", error);
      this.fail(error);
      if (this.state !== "refused") this.retry.later();
    }
  }

  _drop() {
    clearTimeout(this.hushTimer);
    const { track } = this;
    if (!track) return;
    track.onended = track.onmute = track.onunmute = null;
    track.stop();
    this.track = null;
    this.handlers.onaudio(null);
  }

  /** @param {SoundState} state */
  _tell(state) {
    this.state = state;
    this.handlers.onsound(state);
  }
}

/** @param {any} error @returns {SoundState} */
function stateAfter(error) {
  const { id } = problemOf(error);
  if (id === "refused" || id === "policy") return "refused";
  return id === "missing" ? "missing" : "busy";
}
