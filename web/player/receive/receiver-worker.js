// The worker in which all cameras of a page are received and decoded: one Receiver for each port
// that the page sends.

import { Receiver } from "./receiver.js";

/** @type {any} */
const worker = self;

worker.onmessage = (
  /** @type {MessageEvent<{port: MessagePort, name: string, session: any, plays: string[]}>} */ {
    data,
  },
) => {
  new Receiver(data.port, data.name, data.session, data.plays);
};

// A page hears of errors only.
worker.addEventListener("unhandledrejection", (/** @type {PromiseRejectionEvent} */ { reason }) => {
  throw reason;
});

// It stands, and this is what it can do: a message before would be lost on a browser without module
// workers, and its port with it.
worker.postMessage({
  decodes: "VideoDecoder" in worker,
  offscreen: "OffscreenCanvas" in worker,
  trackGenerator: "VideoTrackGenerator" in worker,
});
