// One WebSocket to the relay that looks after itself: it reconnects with back-off, notices a dead network, and knows the relay's clock.
//
//   const link = new Link("/player/porch", {
//     onstate(state, detail) {},   // see LinkState; detail is the relay's last error {id, text}, or null
//     onmessage(message) {},       // every control message except pong, as an object (docs/protocol.md)
//     onbinary(buffer) {},         // every media message, as an ArrayBuffer
//   });
//   link.open();
//   link.send({type: "keyframe"});

/** @typedef {"connecting" | "open" | "waiting" | "closed"} LinkState
 *  connecting: a socket is being opened; open: `welcome` has arrived; waiting: the next try comes after a pause;
 *  closed: by us, or by the relay for good (another camera took the name). */

export const SUBPROTOCOL = "drawercam.1";

/** Milliseconds between two pings, and of silence after which the network counts as gone (the relay answers every ping). */
const PING_INTERVAL = 2000;
const SILENCE_LIMIT = 6000;

/** Milliseconds before the first, and at most before any, new try. */
const FIRST_DELAY = 250;
const LONGEST_DELAY = 4000;

/** A connection that held this long (ms) starts the back-off anew. */
const STEADY = 5000;

/** Round trips remembered for the clock: the shortest one tells the time best (as in NTP). */
const CLOCK_SAMPLES = 16;

/** Close codes after which trying again would be wrong: good-bye, and "taken over". */
const FINAL_CODES = [1000, 4003];

export class Link {
  /**
   * @param {string} path such as `/player/porch`
   * @param {{onstate?: (state: LinkState, detail: {id: string, text: string} | null) => void,
   *          onmessage?: (message: any) => void, onbinary?: (data: ArrayBuffer) => void}} handlers
   */
  constructor(path, handlers) {
    this.path = path;
    this.handlers = handlers;
    /** @type {LinkState} */
    this.state = "closed";
    /** @type {WebSocket | null} */
    this.socket = null;
    /** Round-trip time of the best recent ping in ms, or null. @type {number | null} */
    this.roundTrip = null;
    /** When the current socket was opened (performance.now()), for measuring. */
    this.openedAt = 0;
    /** @type {{id: string, text: string} | null} */
    this.lastError = null;
    /** @type {{trip: number, offset: number}[]} */
    this.clock = [];
    this.failures = 0;
    this.heardAt = 0;
    this.retryTimer = 0;
    this.pingTimer = 0;
    this.wake = () => {
      if (this.state === "waiting" && document.visibilityState === "visible") this.#connect();
    };
  }

  /** closed => connecting */
  open() {
    if (this.state !== "closed") return;
    addEventListener("online", this.wake);
    addEventListener("pageshow", this.wake);
    document.addEventListener("visibilitychange", this.wake);
    this.failures = 0;
    this.#connect();
  }

  /** any => closed, with a good-bye to the relay */
  close() {
    const socket = this.socket;
    this.#detach();
    if (socket && socket.readyState <= WebSocket.OPEN) socket.close(1000);
    this.#finish();
  }

  /** Throws the connection away and opens a new one at once. */
  reopen() {
    if (this.state === "closed") return;
    const socket = this.socket;
    this.#detach();
    socket?.close();
    this.#connect();
  }

  /** @param {object} message sent if the link is open, else forgotten */
  send(message) {
    if (this.socket?.readyState === WebSocket.OPEN) this.socket.send(JSON.stringify(message));
  }

  /** @param {Blob | ArrayBufferLike | ArrayBufferView} bytes sent if the link is open, else forgotten */
  sendBytes(bytes) {
    if (this.socket?.readyState === WebSocket.OPEN) this.socket.send(/** @type {any} */ (bytes));
  }

  /** Bytes that wait in this browser for the network. */
  get buffered() {
    return this.socket?.bufferedAmount ?? 0;
  }

  /** The relay's clock in microseconds, or null before the first answer. @returns {number | null} */
  now() {
    return this.at(performance.now());
  }

  /** The relay's clock at a time of performance.now(). @param {number} moment ms @returns {number | null} µs */
  at(moment) {
    if (this.clock.length === 0) return null;
    let best = this.clock[0];
    for (const sample of this.clock) if (sample.trip <= best.trip) best = sample;
    return moment * 1000 + best.offset;
  }

  #connect() {
    clearTimeout(this.retryTimer);
    this.#enter("connecting");
    const url = new URL(this.path, location.href);
    url.protocol = location.protocol === "https:" ? "wss:" : "ws:";
    const socket = new WebSocket(url, SUBPROTOCOL);
    socket.binaryType = "arraybuffer";
    this.socket = socket;
    this.lastError = null;
    this.heardAt = performance.now();
    socket.onopen = () => {
      this.openedAt = performance.now();
      this.heardAt = this.openedAt;
      this.#ping();
    };
    socket.onmessage = (event) => {
      this.heardAt = performance.now();
      if (typeof event.data !== "string") this.handlers.onbinary?.(event.data);
      else this.#control(JSON.parse(event.data));
    };
    socket.onclose = (event) => {
      this.#detach();
      if (FINAL_CODES.includes(event.code)) this.#finish();
      else this.#retry();
    };
    clearInterval(this.pingTimer);
    this.pingTimer = setInterval(() => this.#beat(), PING_INTERVAL);
  }

  /** @param {any} message */
  #control(message) {
    if (message.type === "pong") {
      const now = performance.now();
      const trip = now - message.t;
      this.clock.push({ trip, offset: message.time - ((message.t + now) / 2) * 1000 });
      if (this.clock.length > CLOCK_SAMPLES) this.clock.shift();
      this.roundTrip = Math.min(...this.clock.map((sample) => sample.trip));
      return;
    }
    if (message.type === "error") this.lastError = { id: message.id, text: message.text };
    if (message.type === "welcome") {
      this.clock = []; // a restarted relay has another clock
      this.#enter("open");
    }
    this.handlers.onmessage?.(message);
  }

  #ping() {
    this.send({ type: "ping", t: performance.now() });
  }

  #beat() {
    // A hidden page's timers may sleep for a minute: then the silence is ours, so ask before judging.
    const silent = performance.now() - this.heardAt;
    if (silent > SILENCE_LIMIT && document.visibilityState === "visible") this.reopen();
    else this.#ping();
  }

  #retry() {
    if (performance.now() - this.openedAt < STEADY || this.openedAt === 0) this.failures += 1;
    else this.failures = 1;
    const delay = Math.min(LONGEST_DELAY, FIRST_DELAY * 2 ** (this.failures - 1));
    this.retryTimer = setTimeout(() => this.#connect(), delay * (0.75 + Math.random() / 2));
    this.#enter("waiting");
  }

  #detach() {
    clearInterval(this.pingTimer);
    clearTimeout(this.retryTimer);
    const socket = this.socket;
    if (socket) socket.onopen = socket.onmessage = socket.onclose = socket.onerror = null;
    this.socket = null;
  }

  #finish() {
    removeEventListener("online", this.wake);
    removeEventListener("pageshow", this.wake);
    document.removeEventListener("visibilitychange", this.wake);
    this.#enter("closed");
  }

  /** @param {LinkState} state */
  #enter(state) {
    this.state = state;
    this.handlers.onstate?.(state, this.lastError);
  }
}
