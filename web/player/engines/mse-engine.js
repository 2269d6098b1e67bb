// The MediaSource engine: for browsers without WebCodecs, or pages without TLS. It puts a <video>
// on the tile; live-source.js plays it.

import { LiveSource } from "./live-source.js";
import { playsType } from "./media-buffer.js";
import { withoutColors } from "../../shared/frames/mp4-frame.js";
import { turn, turnOf } from "./pose.js";
import { picturesOf, silentVideo } from "../../shared/page/silent-video.js";

/** @typedef {import("../../shared/types.js").Engine} Engine */

/**
 * Milliseconds between two looks at how many pictures were shown, where the browser does not tell
 * of each.
 */
const TICK = 250;

/** Seconds by which a picture's time may differ from the clock's. */
const TIME_SLACK = 1;

/**
 * WebKit on Linux, that is, GStreamer: 1.22 reads of any `colr` that the range is the limited one,
 * whatever it says. Of the stream itself it reads the right one.
 */
const MISREADS_COLR =
  /\bLinux\b.*\bAppleWebKit\b/.test(navigator.userAgent) &&
  !/\b(Android|Chrome|Chromium)\b/.test(navigator.userAgent);

/** @implements {Engine} */
export class MseEngine {
  /** @param {import("../../shared/types.js").TrackMessage} track @returns {Promise<boolean>} */
  static async supports(track) {
    return playsType(track.mime);
  }

  /** @param {HTMLElement} view @param {import("../../shared/types.js").EngineHandlers} handlers */
  constructor(view, handlers) {
    this.name = "mse";
    this.handlers = handlers;
    const video = silentVideo();
    view.append(video);
    this.video = video;
    this.shown = 0;
    /** See turnOf; for all pictures in its buffer. */
    this.turn = "";
    this.live = new LiveSource(video, "video", handlers);
    // Firefox calls back 25 times a second only, but counts right; WebKitGTK counts anew at each
    // change of the rate, but calls back.
    this.live.countShown = () => Math.max(this.shown, this.painted());
    this.closed = false;
    this.timer = 0;
    if ("requestVideoFrameCallback" in video) this.watchFrames();
    else this.timer = setInterval(() => this.live.attempt(() => this.countFrames()), TICK);
  }

  get stats() {
    const { received, fed, dropped, bufferedAhead, stalls, jumps } = this.live.stats;
    return { received, fed, dropped, shown: this.shown, bufferedAhead, stalls, jumps };
  }

  /** @param {import("../../shared/types.js").TrackMessage} track @param {ArrayBuffer} init */
  track(track, init) {
    this.turn = turnOf(track);
    turn(this.video, track);
    const { fullRange } = track.colorSpace || {};
    this.live.track(track.mime, MISREADS_COLR && fullRange ? withoutColors(init) : init);
  }

  /** @param {number} _number @param {ArrayBuffer} message */
  frame(_number, message) {
    this.live.frame(message);
  }

  retire() {
    this.live.retire();
  }

  close() {
    this.closed = true;
    clearInterval(this.timer);
    this.live.close();
    this.video.remove();
  }

  watchFrames() {
    let seen = -1;
    /** @type {VideoFrameRequestCallback} */
    const next = (_now, { mediaTime, width, height, presentationTime }) => {
      if (this.closed) return;
      // `presentedFrames` would tell of those missed here, but Firefox counts every repetition in
      // it.
      this.live.attempt(() => {
        if (mediaTime !== seen) {
          seen = mediaTime;
          this.shown += 1;
          this.handlers.onpicture(this.timeOf(mediaTime) * 1e6, width, height, presentationTime);
        }
        this.video.requestVideoFrameCallback(next);
      });
    };
    this.video.requestVideoFrameCallback(next);
  }

  /** For browsers that do not tell of each frame. */
  countFrames() {
    const total = this.painted();
    if (total <= this.shown) return;
    this.shown = total;
    const { currentTime, videoWidth, videoHeight } = this.video;
    this.handlers.onpicture(currentTime * 1e6, videoWidth, videoHeight, performance.now());
  }

  /** @returns {number} pictures shown since the element was made, as the browser counts them */
  painted() {
    const { total, dropped } = picturesOf(this.video) || { total: 0, dropped: 0 };
    return total - dropped;
  }

  /**
   * @param {number} mediaTime seconds
   * @returns {number} seconds: WebKitGTK sometimes counts from the last seek on
   */
  timeOf(mediaTime) {
    const clock = this.video.currentTime;
    return Math.abs(mediaTime - clock) < TIME_SLACK ? mediaTime : clock;
  }
}
