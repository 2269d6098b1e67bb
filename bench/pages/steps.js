// Where the milliseconds go: the moments at which a picture passes from one step to the next (--steps). It runs after viewer.js, before any
// page's own scripts, and slows a page down a little: the delays of a run with it are not for comparing.
//
//   steps.report()   {blobs, messages, decoded, presented}: moments are ms of PaintedClock.now()
//
//   blobs      [moment, bytes]                       the recorder of the pictures gave bytes
//   messages   [moment, timestamp, bytes, key]       a frame message of track 1 came (docs/protocol.md); timestamp in µs
//   decoded    [moment, timestamp, painted]          the decoder gave a picture back
//   presented  [moment, timestamp, painted, due]     the page was told that a <video> shows a picture, due on the screen at a moment

globalThis.steps = (() => {
  /** Offsets in a WebM frame message: its timestamp (8 bytes, ms), its track number, its flags. */
  const TIMESTAMP = 10;
  const TRACK = 23;
  const FLAGS = 26;
  const CLUSTER = 0x1f43b675;
  const VIDEO_TRACK = 0x81;
  const KEYFRAME = 0x80;

  /** @type {number[][]} */
  const blobs = [];
  /** @type {number[][]} */
  const messages = [];
  /** @type {number[][]} */
  const decoded = [];
  /** @type {number[][]} */
  const presented = [];

  const NativeRecorder = globalThis.MediaRecorder;
  globalThis.MediaRecorder = class extends NativeRecorder {
    /** @param {MediaStream} stream @param {MediaRecorderOptions} [options] */
    constructor(stream, options) {
      super(stream, options);
      if (stream.getVideoTracks().length === 0) return;
      this.addEventListener("dataavailable", (event) => {
        if (event.data.size > 0) blobs.push([PaintedClock.now(), event.data.size]);
      });
    }
  };

  const NativeSocket = globalThis.WebSocket;
  globalThis.WebSocket = class extends NativeSocket {
    /** @param {string | URL} url @param {string | string[]} [protocols] */
    constructor(url, protocols = []) {
      super(url, protocols);
      this.addEventListener("message", ({ data }) => {
        if (!(data instanceof ArrayBuffer) || data.byteLength <= FLAGS) return;
        const view = new DataView(data);
        if (view.getUint32(0) !== CLUSTER || view.getUint8(TRACK) !== VIDEO_TRACK) return;
        const timestamp = Number(view.getBigUint64(TIMESTAMP)) * 1000;
        messages.push([PaintedClock.now(), timestamp, data.byteLength, view.getUint8(FLAGS) & KEYFRAME ? 1 : 0]);
      });
    }
  };

  if (globalThis.VideoDecoder) {
    const NativeDecoder = globalThis.VideoDecoder;
    globalThis.VideoDecoder = class extends NativeDecoder {
      /** @param {VideoDecoderInit} init */
      constructor(init) {
        super({
          ...init,
          output: (frame) => {
            const moment = PaintedClock.now();
            const copy = frame.clone();
            init.output(frame);
            const painted = PaintedClock.read(copy, copy.displayWidth, copy.displayHeight);
            if (painted !== null) decoded.push([moment, copy.timestamp, painted]);
            copy.close();
          },
        });
      }
    };
  }

  const proto = HTMLVideoElement.prototype;
  const native = proto.requestVideoFrameCallback;
  const told = new WeakMap();
  proto.requestVideoFrameCallback = function (callback) {
    return native.call(this, (now, metadata) => {
      if (told.get(this) !== metadata.presentedFrames) {
        told.set(this, metadata.presentedFrames);
        const moment = PaintedClock.now();
        const painted = PaintedClock.read(this, this.videoWidth, this.videoHeight);
        const due = performance.timeOrigin + metadata.expectedDisplayTime;
        if (painted !== null) presented.push([moment, metadata.mediaTime * 1e6, painted, due]);
      }
      callback(now, metadata);
    });
  };

  const report = () => ({ blobs, messages, decoded, presented });
  return { report };
})();
