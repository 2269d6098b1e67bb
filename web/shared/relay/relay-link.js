// One WebSocket to the relay that looks after itself: it reconnects with back-off, notices a dead
// network, and knows the relay's clock.
//
//   const link = new Link("/player/porch", {
//     // see LinkState; detail is the relay's last error {id, text}, or null
//     onstate(state, detail, transport) {},
//     // every control message except pong, as an object (docs/protocol.md)
//     onmessage(message) {},
//     onbinary(buffer) {},         // every media message, as an ArrayBuffer
//   });
//   link.open();
//   link.send({type: "keyframe"});
//
// Where WebSockets do not get through and pages do, the same goes over plain HTTP (http-socket.js):
// slower, but it goes. Every new try begins with a WebSocket. A relay that has moved is found, if
// somebody tells where (`elsewhere`).
//
// It works in a page and in a worker. A worker cannot know whether its page is visible, so there
// the page counts as visible.
//
// Names that begin with an underscore are the link's own: private methods (#name) are newer than
// the phones this page is for.

import { Deadline } from "./deadline.js";
import { HttpSocket } from "./http-socket.js";

/**
 * @typedef {"connecting" | "open" | "waiting" | "closed"} LinkState connecting: a socket is being
 * opened; open: `welcome` has arrived; waiting: the next try comes after a pause; closed: by us, or
 * by the relay for good (another camera took the name, or it takes the key no more).
 */

/** How it goes: by a WebSocket, or over HTTP. @typedef {"socket" | "http"} Transport */

/**
 * Where the relay may be as well: the origin of its pages there, and what lets this browser in
 * there without a cookie.
 * @typedef {{base: string, ticket: string}} Place
 */

export const SUBPROTOCOL = "drawercam.1";
const TICKET_PREFIX = "drawercam-ticket.";

/** Milliseconds between two pings (the relay answers every one). */
const PING_INTERVAL = 2000;

/**
 * Pings without any answer after which the network counts as gone: 6 s of a page that is awake.
 * Counted, not timed, because a hidden page's timers may sleep for a minute, and that silence is
 * ours.
 */
const MOST_UNANSWERED = 3;

/**
 * Milliseconds before the first, and at most before any, new try, give or take a quarter. A relay
 * that is back is found within 2.5 s, and a house full of phones is no burden for it.
 */
const FIRST_DELAY = 250;
const LONGEST_DELAY = 2000;

/**
 * A connection that held this long (ms) starts the back-off anew: one that is thrown out after its
 * welcome does not hold so long.
 */
const STEADY = 2000;

/** Round trips remembered for the clock: the shortest one tells the time best (as in NTP). */
const CLOCK_SAMPLES = 16;

/**
 * WebSockets that were refused, one after the other, while the relay answered requests, before it
 * goes over HTTP. One proves nothing: a relay that has just come back refuses, too.
 */
const MOST_REFUSED = 2;

/** Milliseconds in which the relay has to answer a request to count as there. */
const ANSWER_LIMIT = 3000;

/**
 * Tries that failed before it is asked where the relay may be as well, and milliseconds between two
 * such questions.
 */
const FAILURES_AT_HOME = 3;
const LOOK_INTERVAL = 10000;

/** Places that are tried after one question: a computer has some addresses, not many. */
const MOST_PLACES = 8;

/** Close codes after which trying again would be wrong: good-bye, and "taken over". */
const FINAL_CODES = [1000, 4003];

/**
 * The close code of a connection whose key has ended. There may be another key, so it is tried once
 * more.
 */
const REVOKED = 4006;

/**
 * What the relay says to a key that is none for this: asking again would change nothing, and a
 * person has to bring another one.
 */
const KEY_REFUSALS = ["no-key", "not-allowed"];

/** Only a page has one. */
const page = /** @type {any} */ (self).document || null;

function isVisible() {
  return page === null || page.visibilityState === "visible";
}

/**
 * The last link of this page, or of this worker, that got through did so over HTTP: then the next
 * one need not be refused twice.
 */
let refusedBefore = false;

/**
 * Statuses of a relay that is there and does not take this page's requests: it says why over HTTP.
 */
const REFUSED = [400, 403, 421];

/**
 * Whether the relay answers a request.
 * @param {string} base the origin of its pages, "" for this page's own
 * @returns {Promise<boolean>}
 */
async function isThere(base) {
  const deadline = new Deadline(ANSWER_LIMIT);
  try {
    const answer = await deadline.within(
      fetch(`${base}/healthz`, { cache: "no-store", signal: deadline.signal }),
    );
    // A relay that is stopping says so by another one.
    return answer.ok || REFUSED.includes(answer.status);
  } catch (error) {
    return false;
  } finally {
    deadline.clear();
  }
}

export class Link {
  /**
   * @param {string} path such as `/player/porch`; it may be changed, and counts when a socket is
   *   opened, after the state `connecting`
   * @param {{onstate?: (state: LinkState, detail: {id: string, text: string} | null, transport:
   *          Transport) => void, onmessage?: (message: any) => void, onbinary?: (data: ArrayBuffer)
   *          => void, onpong?: (message: any) => void, pingFields?: (moment: number) => object,
   *          elsewhere?: () => Promise<Place[]>}} handlers
   *        onpong: an answer to a ping, after the clock was set by it; pingFields: what else to say
   *        in the ping that is sent now, at this moment (ms of performance.now()); elsewhere: asked
   *        when the relay is not to be found
   */
  constructor(path, handlers) {
    this.path = path;
    this.handlers = handlers;
    /** @type {LinkState} */
    this.state = "closed";
    /** @type {WebSocket | HttpSocket | null} */
    this.socket = null;
    /** @type {Transport} */
    this.transport = "socket";
    /**
     * Where it is tried, null for the page's own origin; where it was open last; and where else it
     * is to be tried.
     * @type {Place | null}
     */
    this.place = null;
    /** @type {Place | null} */
    this.settled = null;
    /** @type {Place[]} */
    this.places = [];
    /**
     * Whether the relay has moved from where it was last, as somebody says who knows; null while
     * nobody was asked.
     * @type {boolean | null}
     */
    this.moved = null;
    this.lookedAt = -Infinity;
    /** Round-trip time of the best recent ping in ms, or null. @type {number | null} */
    this.roundTrip = null;
    /** When the current socket was opened (performance.now()), for measuring; 0 until it is. */
    this.openedAt = 0;
    /** @type {{id: string, text: string} | null} */
    this.lastError = null;
    /**
     * What the relay said when it ended a connection because of its key, until there is a
     * connection again.
     * @type {{id: string, text: string} | null}
     */
    this.revoked = null;
    /** @type {{trip: number, offset: number}[]} */
    this.clock = [];
    /** When the last regular ping was sent, performance.now(). */
    this.pingedAt = 0;
    this.failures = 0;
    /** WebSockets refused by a relay that was there, one after the other. */
    this.refusals = 0;
    this.turn = 0; // counts what was given up: an answer that comes later is not needed any more
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
    this.revoked = null;
    this._connect();
  }

  /**
   * any => closed, with a good-bye to the relay
   * @param {string} [reason] why, in a word that the relay knows
   */
  close(reason = "") {
    if (this.state === "closed") return;
    const socket = this.socket;
    this._detach();
    if (socket && socket.readyState <= WebSocket.OPEN) socket.close(1000, reason);
    this.lastError = null; // that is no refusal
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
    if (this.socket && this.socket.readyState === WebSocket.OPEN)
      this.socket.send(JSON.stringify(message));
  }

  /**
   * @param {Blob | ArrayBufferLike | ArrayBufferView} bytes sent if the link is open, else
   *   forgotten
   */
  sendBytes(bytes) {
    if (this.socket && this.socket.readyState === WebSocket.OPEN)
      this.socket.send(/** @type {any} */ (bytes));
  }

  /**
   * Asks once more between two pings, for whoever wants to know how long an answer takes just now.
   */
  probe() {
    if (this.state === "open") this._ask(performance.now());
  }

  /** Bytes that wait in this browser for the network. */
  get buffered() {
    return this.socket ? this.socket.bufferedAmount : 0;
  }

  /**
   * The relay's clock in microseconds, or null before the first answer.
   * @returns {number | null}
   */
  now() {
    return this.at(performance.now());
  }

  /**
   * The relay's clock at a time of performance.now().
   * @param {number} moment ms
   * @returns {number | null} µs
   */
  at(moment) {
    if (this.clock.length === 0) return null;
    let best = this.clock[0];
    for (const sample of this.clock) if (sample.trip <= best.trip) best = sample;
    return moment * 1000 + best.offset;
  }

  _connect() {
    this._detach();
    this._enter("connecting");
    if (this.state === "connecting") this._dial("socket"); // else the handler closed the link
  }

  /** @param {Transport} transport */
  _dial(transport) {
    this._detach();
    this.transport = transport;
    this.lastError = null;
    this.openedAt = 0;
    this.unanswered = 0;
    const { place } = this;
    let socket;
    try {
      const url = new URL(this.path, place ? place.base : location.href);
      url.protocol = url.protocol === "https:" ? "wss:" : "ws:";
      if (transport === "http") socket = new HttpSocket(url.href, SUBPROTOCOL);
      else
        socket = new WebSocket(
          url.href,
          place ? [SUBPROTOCOL, TICKET_PREFIX + place.ticket] : [SUBPROTOCOL],
        );
    } catch (error) {
      this._lost(); // no address, or one that this browser allows no WebSocket to
      return;
    }
    socket.binaryType = "arraybuffer";
    this.socket = socket;
    socket.onopen = () => {
      this.openedAt = performance.now();
      this.unanswered = 0;
      this._ping();
    };
    socket.onmessage = (/** @type {{data: any}} */ event) => {
      this.unanswered = 0;
      if (typeof event.data === "string") this._control(JSON.parse(event.data));
      else if (this.handlers.onbinary) this.handlers.onbinary(event.data);
    };
    socket.onclose = (/** @type {{code: number}} */ event) => {
      if (socket instanceof HttpSocket && socket.refusal) this.lastError = socket.refusal;
      if (event.code === REVOKED) this.revoked = this.lastError;
      if (this.lastError && KEY_REFUSALS.includes(this.lastError.id))
        this._deny(this.revoked || this.lastError);
      else if (FINAL_CODES.includes(event.code)) {
        this._detach();
        this._finish();
      } else this._lost();
    };
    this.pingTimer = setInterval(() => this._beat(), PING_INTERVAL);
  }

  /** @param {any} message */
  _control(message) {
    if (message.type === "pong") {
      const now = performance.now();
      const trip = now - message.t;
      // A probe counts for the clock only where it is better, or a slow network would soon be all
      // that the clock remembers.
      if (
        this.clock.length === 0 ||
        message.t === this.pingedAt ||
        trip <= (this.roundTrip || Infinity)
      ) {
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
      this.settled = this.place;
      this.places = [];
      this.moved = null;
      this.refusals = 0;
      this.revoked = null;
      if (!this.place) refusedBefore = this.transport === "http";
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
    if (this.unanswered < MOST_UNANSWERED || !isVisible()) this._ping();
    else if (this.state === "open") this.reopen();
    else {
      const socket = this.socket;
      this._lost();
      if (socket) socket.close();
    }
  }

  /** The connection has ended, or did not come about. */
  _lost() {
    const refused = this.transport === "socket" && this.state === "connecting" && !this.lastError;
    this._detach();
    if (refused && (this._asksOverHttp || this.revoked)) this._refused();
    else this._retry();
  }

  /** Only over HTTP a page is told why it is refused, and only at its own origin. */
  get _asksOverHttp() {
    return HttpSocket.supported && !this.place;
  }

  /** Is the relay away, do WebSockets not get through, or is it the key? */
  async _refused() {
    const { turn, place, revoked } = this;
    const there = await isThere(place ? place.base : "");
    if (turn !== this.turn) return;
    this.refusals = there && !place ? this.refusals + 1 : 0;
    if (there && revoked && !this._asksOverHttp) this._deny(revoked);
    else if (this.refusals >= (refusedBefore || revoked ? 1 : MOST_REFUSED)) this._dial("http");
    else this._retry();
  }

  /** The relay wants another key. @param {{id: string, text: string}} why */
  _deny(why) {
    this._detach();
    this.lastError = why;
    this._finish();
  }

  _retry() {
    const held = this.openedAt === 0 ? 0 : performance.now() - this.openedAt;
    this.failures = held < STEADY ? this.failures + 1 : 1;
    if (this.failures > 1) this.place = this.places.shift() || (this.place ? null : this.settled);
    const delay = Math.min(LONGEST_DELAY, FIRST_DELAY * 2 ** (this.failures - 1));
    this.retryTimer = setTimeout(() => this._connect(), delay * (0.75 + Math.random() / 2));
    this._enter("waiting");
    const looks =
      this.failures >= FAILURES_AT_HOME && performance.now() - this.lookedAt >= LOOK_INTERVAL;
    if (looks && this.handlers.elsewhere && this.state === "waiting")
      this._look(this.handlers.elsewhere);
  }

  /**
   * Asks where the relay may be as well, and tries it there.
   * @param {() => Promise<Place[]>} elsewhere
   */
  async _look(elsewhere) {
    this.lookedAt = performance.now();
    try {
      const places = await elsewhere();
      const last = this.settled ? this.settled.base : location.origin;
      this.moved = places.length > 0 && !places.some(({ base }) => base === last);
      // This one is tried anyway, without a ticket.
      this.places = places.filter(({ base }) => base !== location.origin).slice(0, MOST_PLACES);
    } catch (error) {
      console.warn(`nobody knows where the relay is: ${error}`);
    }
    if (this.state !== "waiting") return; // at the next try, if there is one
    const place = this.places.shift();
    if (!place) return;
    this.place = place;
    this._connect();
  }

  _detach() {
    this.turn += 1;
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
    if (this.handlers.onstate) this.handlers.onstate(state, this.lastError, this.transport);
  }
}
