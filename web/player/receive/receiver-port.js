// The page's end of one camera: a port to its Receiver (receiver.js has what goes over it), which
// lives in the worker that all cameras share. Where the browser has no such worker, the Receiver is
// fetched into the page: the same code behind the same kind of port.

import { fail as failPage } from "../../guard.js";
import { lastSession } from "../../shared/relay/login.js";
import { version } from "../../shared/page/version.js";

/** What the place can do where pictures are decoded.
 *  @typedef {{decodes: boolean, offscreen: boolean, trackGenerator: boolean}} Abilities */

/**
 * @typedef {{abilities: Abilities, receive: (port: MessagePort, name: string, plays: string[]) =>
 *   void}} Place
 */

/** Milliseconds in which the worker must have come up; it is fetched in a few small files. */
const START_LIMIT = 8000;

/**
 * Bytes of frames after which the Receiver is told that the page has taken them: it lets 16 MiB be
 * underway (receiver.js).
 */
const TAKEN_STEP = 1024 * 1024;

/** @returns {Promise<Place>} */
function startWorker() {
  return new Promise((resolve, reject) => {
    const worker = new Worker(new URL("./receiver-worker.js", import.meta.url), {
      type: "module",
      name: "receiver",
    });
    const late = setTimeout(() => fail("it does not start"), START_LIMIT);
    const fail = (/** @type {string} */ reason) => {
      clearTimeout(late);
      worker.terminate();
      reject(new Error(reason));
    };
    worker.onerror = (event) => fail(event.message || "it cannot be loaded");
    worker.onmessage = ({ data: abilities }) => {
      clearTimeout(late);
      // What it was about stands still, and nothing here knows how much that is.
      worker.onerror = (event) => failPage(event.message);
      const canDecode = abilities.decodes || typeof VideoDecoder === "undefined";
      if (!canDecode) return fail("it cannot decode");
      const receive = (
        /** @type {MessagePort} */ port,
        /** @type {string} */ name,
        /** @type {string[]} */ plays,
      ) => worker.postMessage({ port, name, session: lastSession(), plays }, [port]);
      resolve({ abilities, receive });
    };
  });
}

/** @returns {Promise<typeof import("./receiver.js")>} */
async function loadReceiver() {
  try {
    return await import("./receiver.js");
  } catch (error) {
    version.doubt();
    throw error;
  }
}

/** @returns {Promise<Place>} */
async function openPlace() {
  try {
    return await startWorker();
  } catch (error) {
    const { Receiver } = await loadReceiver();
    const abilities = {
      decodes: "VideoDecoder" in window,
      offscreen: "OffscreenCanvas" in window,
      trackGenerator: false,
    };
    return {
      abilities,
      receive: (port, name, plays) => void new Receiver(port, name, lastSession(), plays),
    };
  }
}

/** Asked for at once: the files are on their way while the page still asks who may watch. */
const place = openPlace();

export class Feed {
  /**
   * It begins with `open`.
   * @param {string} name of the camera
   * @param {Promise<string[]>} plays see plays.js
   * @param {{onready: (abilities: Abilities) => void} & Record<string, (message: any) => void>}
   *        handlers one for each type of message that a Receiver sends, by that name; onready: the
   *        place is known, now it can be told which engine plays
   */
  constructor(name, plays, handlers) {
    this.name = name;
    this.plays = plays;
    this.handlers = handlers;
    this.takenBytes = 0;
    this.toldBytes = 0;
    this.wanted = false; // there is, or is to be, a connection
    this.begun = false;
    this.closed = false;
    const { port1, port2 } = new MessageChannel();
    this.port = port1;
    this.otherPort = port2;
    this.port.onmessage = (event) => this.onmessage(event.data);
    // A page that is seen again need not wait for the next try.
    this.wake = () => {
      if (this.wanted && document.visibilityState === "visible") this.tell("wake");
    };
    document.addEventListener("visibilitychange", this.wake);
    addEventListener("pageshow", this.wake);
  }

  /** Connects, also again. */
  open() {
    if (this.wanted) return;
    this.wanted = true;
    if (this.begun) this.tell("open");
    else this.begin();
  }

  async begin() {
    const [{ abilities, receive }, plays] = await Promise.all([place, this.plays]);
    if (this.closed || !this.wanted || this.begun) return;
    this.begun = true;
    receive(this.otherPort, this.name, plays);
    this.handlers.onready(abilities);
  }

  /** Ends the connection until `open`; the last picture stays. */
  hangUp() {
    if (this.wanted && this.begun) this.tell("hang-up");
    this.wanted = false;
  }

  /** @param {any} message */
  onmessage(message) {
    if (this.closed) return;
    const { type, data } = message;
    const size = data ? data.byteLength : 0; // before somebody takes it away
    this.handlers[type](message);
    this.takenBytes += size;
    if (this.takenBytes - this.toldBytes < TAKEN_STEP) return;
    this.toldBytes = this.takenBytes;
    this.tell("taken", { bytes: this.takenBytes });
  }

  /** @param {string} type @param {object} [more] @param {Transferable[]} [transfer] */
  tell(type, more = {}, transfer = []) {
    if (!this.closed) this.port.postMessage({ type, ...more }, transfer);
  }

  /** @param {object} message for the relay */
  send(message) {
    this.tell("send", { message });
  }

  close() {
    document.removeEventListener("visibilitychange", this.wake);
    removeEventListener("pageshow", this.wake);
    this.tell("close");
    this.closed = true;
    this.port.onmessage = null; // the other end closes the port, after it has read this
  }
}
