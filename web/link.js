// One WebSocket to the relay that looks after itself: it reconnects with back-off, notices a dead network, and knows the relay's clock.
//
//   const link = new Link("/player/porch", {
//     onstate(state, detail) {},   // see LinkState; detail is the relay's last error {id, text}, or null
//     onmessage(message) {},       // every control message except pong, as an object (docs/protocol.md)
//     onbinary(buffer) {},         // every media message, as an ArrayBuffer
//   });
//   link.open();
//   link.send({type: "keyframe"});
//
// It works in a page and in a worker. A worker cannot know whether its page is visible, so there the page counts as visible.
//
// Names that begin with an underscore are the link's own: private methods (#name) are newer than the phones this page is for.

/** @typedef {"connecting" | "open" | "waiting" | "closed"} LinkState
 *  connecting: a socket is being opened; open: `welcome` has arrived; waiting: the next try comes after a pause;
 *  closed: by us, or by the relay for good (another camera took the name). */

export const SUBPROTOCOL = "drawercam.1";

/** Milliseconds between two pings (the relay answers every one). */
const PING_INTERVAL = 2000;

/** Pings without any answer after which the network counts as gone: 6 s of a page that is awake. Counted, not timed, because a hidden
 *  page's timers may sleep for a minute, and that silence is ours. */
const MOST_UNANSWERED = 3;

/** Milliseconds before the first, and at most before any, new try, give or take a quarter. A relay that is back is found within 2.5 s, and a
 *  house full of phones is no burden for it. */
const FIRST_DELAY = 250;
const LONGEST_DELAY = 2000;

/** A connection that held this long (ms) starts the back-off anew: one that is thrown out after its welcome does not hold so long. */
const STEADY = 2000;

/** Round trips remembered for the clock: the shortest one tells the time best (as in NTP). */
const CLOCK_SAMPLES = 16;

/** Close codes after which trying again would be wrong: good-bye, and "taken over". */
const FINAL_CODES = [1000, 4003];

/** Only a page has one. */
const page = typeof document === "undefined" ? null : document;

function isVisible() {
  return page === null || page.visibilityState === "visible";
}

export class Link {
  /**
   * @param {string} path such as `/player/porch`; it may be changed, and counts when a socket is opened, after the state `connecting`
   * @param {{onstate?: (state: LinkState, detail: {id: string, text: string} | null) => void,
   *          onmessage?: (message: any) => void, onbinary?: (data: ArrayBuffer) => void,
   *          onpong?: (message: any) => void, pingFields?: (moment: number) => object}} handlers
   *        onpong: an answer to a ping, after the clock was set by it; pingFields: what else to say in the ping that is sent now, at this
   *        moment (ms of performance.now())
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
    /** When the current socket was opened (performance.now()), for measuring; 0 until it is. */
    this.openedAt = 0;
    /** @type {{id: string, text: string} | null} */
    this.lastError = null;
    /** @type {{trip: number, offset: number}[]} */
    this.clock = [];
    /** When the last regular ping was sent, performance.now(). */
    this.pingedAt = 0;
    this.failures = 0;
    this.unanswered = 0;
    this.retryTimer = 0;
    this.pingTimer = 0;
    this.wake = () => {
      if (this.state === "waiting" && isVisible()) this._connect();
    };
  }

  /** closed => connecting */
  open() {
    if (this.state !== "closed") return;
    addEventListener("online", this.wake);
    addEventListener("pageshow", this.wake);
    if (page) page.addEventListener("visibilitychange", this.wake);
    this.failures = 0;
    this._connect();
  }

  /** any => closed, with a good-bye to the relay */
  close() {
    if (this.state === "closed") return;
    const socket = this.socket;
    this._detach();
    if (socket && socket.readyState <= WebSocket.OPEN) socket.close(1000);
    this._finish();
  }

  /** Throws the connection away and opens a new one at once. */
  reopen() {
    if (this.state === "closed") return;
    const socket = this.socket;
    this._detach();
    if (socket) socket.close();
    this._connect();
  }

  /** @param {object} message sent if the link is open, else forgotten */
  send(message) {
    if (this.socket && this.socket.readyState === WebSocket.OPEN) this.socket.send(JSON.stringify(message));
  }

  /** @param {Blob | ArrayBufferLike | ArrayBufferView} bytes sent if the link is open, else forgotten */
  sendBytes(bytes) {
    if (this.socket && this.socket.readyState === WebSocket.OPEN) this.socket.send(/** @type {any} */ (bytes));
  }

  /** Asks once more between two pings, for whoever wants to know how long an answer takes just now. */
  probe() {
    if (this.state === "open") this._ask(performance.now());
  }

  /** Bytes that wait in this browser for the network. */
  get buffered() {
    return this.socket ? this.socket.bufferedAmount : 0;
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

  _connect() {
    this._detach();
    this._enter("connecting");
    if (this.state !== "connecting") return; // the handler closed the link
    const url = new URL(this.path, location.href);
    url.protocol = location.protocol === "https:" ? "wss:" : "ws:";
    const socket = new WebSocket(url.href, SUBPROTOCOL);
    socket.binaryType = "arraybuffer";
    this.socket = socket;
    this.lastError = null;
    this.openedAt = 0;
    this.unanswered = 0;
    socket.onopen = () => {
      this.openedAt = performance.now();
      this.unanswered = 0;
      this._ping();
    };
    socket.onmessage = (event) => {
      this.unanswered = 0;
      if (typeof event.data === "string") this._control(JSON.parse(event.data));
      else if (this.handlers.onbinary) this.handlers.onbinary(event.data);
    };
    socket.onclose = (event) => {
      this._detach();
      if (FINAL_CODES.includes(event.code)) this._finish();
      else this._retry();
    };
    this.pingTimer = setInterval(() => this._beat(), PING_INTERVAL);
  }

  /** @param {any} message */
  _control(message) {
    if (message.type === "pong") {
      const now = performance.now();
      const trip = now - message.t;
      // A probe counts for the clock only where it is better, or a slow network would soon be all that the clock remembers.
      if (this.clock.length === 0 || message.t === this.pingedAt || trip <= (this.roundTrip || Infinity)) {
        this.clock.push({ trip, offset: message.time - ((message.t + now) / 2) * 1000 });
        if (this.clock.length > CLOCK_SAMPLES) this.clock.shift();
      }
      this.roundTrip = Math.min(...this.clock.map((sample) => sample.trip));
      if (this.handlers.onpong) this.handlers.onpong(message);
      return;
    }
    if (message.type === "error") this.lastError = { id: message.id, text: message.text };
    if (message.type === "welcome") {
      this.clock = []; // a restarted relay has another clock
      this._enter("open");
    }
    if (this.handlers.onmessage) this.handlers.onmessage(message);
  }

  _ping() {
    this.unanswered += 1;
    this.pingedAt = performance.now();
    this._ask(this.pingedAt);
  }

  /** @param {number} moment */
  _ask(moment) {
    const more = this.handlers.pingFields ? this.handlers.pingFields(moment) : {};
    this.send(Object.assign({ type: "ping" }, more, { t: moment }));
  }

  _beat() {
    if (this.unanswered >= MOST_UNANSWERED && isVisible()) this.reopen();
    else this._ping();
  }

  _retry() {
    const held = this.openedAt === 0 ? 0 : performance.now() - this.openedAt;
    this.failures = held < STEADY ? this.failures + 1 : 1;
    const delay = Math.min(LONGEST_DELAY, FIRST_DELAY * 2 ** (this.failures - 1));
    this.retryTimer = setTimeout(() => this._connect(), delay * (0.75 + Math.random() / 2));
    this._enter("waiting");
  }

  _detach() {
    clearInterval(this.pingTimer);
    clearTimeout(this.retryTimer);
    const socket = this.socket;
    if (socket) socket.onopen = socket.onmessage = socket.onclose = socket.onerror = null;
    this.socket = null;
  }

  _finish() {
    removeEventListener("online", this.wake);
    removeEventListener("pageshow", this.wake);
    if (page) page.removeEventListener("visibilitychange", this.wake);
    this._enter("closed");
  }

  /** @param {LinkState} state */
  _enter(state) {
    this.state = state;
    if (this.handlers.onstate) this.handlers.onstate(state, this.lastError);
  }
}
