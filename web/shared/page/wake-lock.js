// Keeps the screen on: a phone whose screen sleeps films nothing, and shows nothing.
//
//   // "held", "fallback" or "none"; with a second argument, false, without the fallback
//   const lock = new WakeLock((state) => {});
//   lock.hold();
//   lock.look(performance.now());   // now and then
//   lock.release();
//
// Browsers without the Screen Wake Lock API (Chrome before 84, Safari before 16.4, Firefox before
// 126) keep the screen on while a video plays. The fallback is such a video: 16 x 16 points, muted,
// looping, inline, fed by a canvas that is repainted twice a second. It needs no file, so it works
// offline and under a strict Content-Security-Policy.

/** @typedef {"held" | "fallback" | "none"} WakeState */

/**
 * Side of the fallback's picture in pixels, and pictures per second: enough to count as a playing
 * video.
 */
const SIDE = 16;
const RATE = 2;

/** Milliseconds between two tries to get back what the system has taken. */
const RETRY = 10000;

export class WakeLock {
  /**
   * @param {(state: WakeState) => void} onchange
   * @param {boolean} standsIn whether a video stands in where the browser has no such lock, or
   *   refuses it
   */
  constructor(onchange, standsIn = true) {
    this.onchange = onchange;
    this.standsIn = standsIn;
    /** @type {WakeState} */
    this.state = "none";
    this.wanted = false;
    this.pending = false;
    /** @type {any} */
    this.sentinel = null;
    /** @type {HTMLVideoElement | null} */
    this.video = null;
    this.painter = 0;
    this.triedAt = -Infinity;
    // The system takes the lock away whenever the page is hidden.
    this.shown = () => {
      if (document.visibilityState === "visible") this._take();
    };
  }

  /** Best called from a touch: the fallback's video may need one to play. */
  hold() {
    if (this.wanted) return;
    this.wanted = true;
    document.addEventListener("visibilitychange", this.shown);
    this._take();
  }

  /**
   * The system may take the lock away at any time, and a phone that sleeps cannot be woken up.
   * @param {number} now ms
   */
  look(now) {
    if (this.state !== "none" || now - this.triedAt < RETRY) return;
    this.triedAt = now;
    this.shown();
  }

  release() {
    this.wanted = false;
    document.removeEventListener("visibilitychange", this.shown);
    if (this.sentinel) this.sentinel.release();
    this.sentinel = null;
    this._stopVideo();
    this._enter("none");
  }

  async _take() {
    if (!this.wanted || this.pending || this.sentinel || this.video) return;
    this.pending = true;
    try {
      if (!("wakeLock" in navigator)) throw new Error("no Screen Wake Lock API");
      const sentinel = await navigator.wakeLock.request("screen");
      sentinel.addEventListener("release", () => {
        if (this.sentinel !== sentinel) return;
        this.sentinel = null;
        this._enter("none");
      });
      if (this.wanted) {
        this.sentinel = sentinel;
        this._enter("held");
      } else sentinel.release();
    } catch (error) {
      // Also where the lock is refused, as in a battery-saving mode.
      if (this.standsIn) await this._playVideo();
    } finally {
      this.pending = false;
    }
  }

  async _playVideo() {
    const canvas = document.createElement("canvas");
    const video = document.createElement("video");
    if (!this.wanted || !canvas.captureStream) return;
    canvas.width = canvas.height = SIDE;
    const context = /** @type {CanvasRenderingContext2D} */ (
      canvas.getContext("2d", { alpha: false })
    );
    let odd = false;
    const paint = () => {
      odd = !odd;
      context.fillStyle = odd ? "#000" : "#010101";
      context.fillRect(0, 0, SIDE, SIDE);
    };
    paint();
    video.className = "wake-video";
    video.muted = video.loop = video.playsInline = true;
    video.setAttribute("playsinline", "");
    video.setAttribute("aria-hidden", "true");
    video.srcObject = canvas.captureStream(RATE);
    document.body.append(video);
    this.video = video;
    this.painter = setInterval(paint, 1000 / RATE);
    try {
      await video.play();
      if (this.video === video) this._enter("fallback");
    } catch (error) {
      if (this.video === video) this._stopVideo();
    }
  }

  _stopVideo() {
    clearInterval(this.painter);
    if (!this.video) return;
    this.video.pause();
    for (const track of /** @type {MediaStream} */ (this.video.srcObject).getTracks()) track.stop();
    this.video.remove();
    this.video = null;
  }

  /** @param {WakeState} state */
  _enter(state) {
    if (state === this.state) return;
    this.state = state;
    this.onchange(state);
  }
}
