// A WebSocket for browsers that refuse one: the same frames (RFC 6455 section 5), one half of the
// connection in the body of a response, the other in POSTs (docs/protocol.md, "Over HTTP"). It has
// the parts of WebSocket's interface that relay-link.js uses, and works in a page and in a worker.
//
//   const socket = new HttpSocket("wss://192.168.1.20:8443/player/porch", "drawercam.1");
//
// What is sent waits while a POST is under way, and goes together in the next one. A POST that
// failed is sent again: each says where in this half it begins, so the relay passes over what it
// has already.
//
// A browser has few connections to one relay, six in most, and each of these sockets keeps one.
// Without a free one no POST gets through, so there are a few of these sockets, and further ones
// are refused.

/**
 * Sockets at once in one page or worker: a player has four cameras in its worker, the list of
 * cameras in its page, and one connection is left for POSTs.
 */
const MOST_SOCKETS = 4;

const TOO_MANY = {
  id: "too-many-streams",
  text: `This browser refuses the fast connection, and over the slower one it can have ${MOST_SOCKETS} cameras at once.`,
};

/** Bytes of one POST at most: how much has arrived is known only when it is answered. */
const MOST_POSTED = 64 * 1024;

/**
 * Bytes of the last POST at most for which it may outlive the page (fetch's `keepalive`; the limit
 * is 64 KiB for all of a page).
 */
const MOST_KEPT_ALIVE = 60 * 1024;

/**
 * Milliseconds before a POST that failed is sent again; the last one is the end of the connection.
 */
const RETRY_PAUSES = [50, 200, 500, 1000];

/** Milliseconds that the relay has for its half of a good-bye. */
const CLOSE_LIMIT = 2000;

/** Bytes of a message; the relay's longest are a little above 8 MiB. */
const LONGEST_MESSAGE = 16 * 1024 * 1024;

/** Below this the relay has sockets over HTTP. */
const PREFIX = "/over-http";

const CONNECTING = 0;
const OPEN = 1;
const CLOSING = 2;
const CLOSED = 3;

/** Opcodes, RFC 6455 section 5.2. */
const TEXT = 1;
const BINARY = 2;
const CLOSE = 8;
const PING = 9;
const PONG = 10;

/**
 * The connection broke without a good-bye (section 7.1.5), and: the peer broke the rules, a message
 * is too long (section 7.4.1).
 */
const ABNORMAL = 1006;
const PROTOCOL_ERROR = 1002;
const TOO_LONG = 1009;

const encoder = new TextEncoder();
const decoder = new TextDecoder();

/** Sockets of this page or worker that have not ended. */
let count = 0;

/** A frame's bytes, some of them still the browser's. @typedef {Uint8Array | Blob} Part */

/** @param {Part} part */
function sizeOf(part) {
  return part instanceof Blob ? part.size : part.byteLength;
}

/** One body of all parts, in order. @param {Part[]} parts @returns {Part} */
function together(parts) {
  if (parts.length === 1) return parts[0];
  if (parts.some((part) => part instanceof Blob)) return new Blob(/** @type {any} */ (parts));
  const all = new Uint8Array(parts.reduce((size, part) => size + sizeOf(part), 0));
  let at = 0;
  for (const part of parts) {
    all.set(/** @type {Uint8Array} */ (part), at);
    at += sizeOf(part);
  }
  return all;
}

/**
 * The head of a frame from a client. Its mask is 0, which changes nothing: the mask protects
 * proxies that take frames for requests (section 10.3), and these here are the body of one.
 * @param {number} opcode
 * @param {number} size of the payload
 */
function headOf(opcode, size) {
  const extended = size < 126 ? 0 : size < 65536 ? 2 : 8;
  const head = new Uint8Array(2 + extended + 4);
  head[0] = 0x80 | opcode;
  head[1] = 0x80 | (extended === 0 ? size : extended === 2 ? 126 : 127);
  const view = new DataView(head.buffer);
  if (extended === 2) view.setUint16(2, size);
  if (extended === 8) view.setUint32(6, size); // the upper half is 0: nobody sends 4 GiB
  return head;
}

/** Cuts the relay's bytes into frames. */
class FrameReader {
  /**
   * @param {(opcode: number, payload: Uint8Array) => void} onframe the payload has a buffer of its
   *   own
   * @param {(code: number) => void} onerror
   */
  constructor(onframe, onerror) {
    this.onframe = onframe;
    this.onerror = onerror;
    this.failed = false;
    this.head = new Uint8Array(10);
    this.headSize = 0;
    this.headNeeded = 2;
    /** @type {Uint8Array | null} */
    this.payload = null;
    this.filled = 0;
  }

  _next() {
    this.headSize = 0;
    this.headNeeded = 2;
    this.payload = null;
    this.filled = 0;
  }

  /** @param {Uint8Array} chunk */
  push(chunk) {
    let at = 0;
    while (at < chunk.length && !this.failed) {
      if (!this.payload) {
        this.head[this.headSize] = chunk[at];
        this.headSize += 1;
        at += 1;
        if (this.headSize === 2) this._begun();
        if (this.headSize === this.headNeeded) this._headed();
      } else {
        const piece = chunk.subarray(at, at + this.payload.length - this.filled);
        this.payload.set(piece, this.filled);
        this.filled += piece.length;
        at += piece.length;
      }
      if (this.payload && this.filled === this.payload.length) {
        const { payload } = this;
        this._next();
        this.onframe(this.head[0] & 15, payload);
      }
    }
  }

  _begun() {
    const [first, second] = this.head;
    // The relay sends whole messages, without extensions and masks.
    if (first >> 4 !== 8 || second & 0x80) this._fail(PROTOCOL_ERROR);
    this.headNeeded = second === 126 ? 4 : second === 127 ? 10 : 2;
  }

  _headed() {
    const view = new DataView(this.head.buffer);
    let size = this.head[1] & 127;
    if (size === 126) size = view.getUint16(2);
    else if (size === 127) size = view.getUint32(2) * 2 ** 32 + view.getUint32(6);
    if (size > LONGEST_MESSAGE) this._fail(TOO_LONG);
    else if (!this.failed) this.payload = new Uint8Array(size);
  }

  /** @param {number} code */
  _fail(code) {
    this.failed = true;
    this.onerror(code);
  }
}

export class HttpSocket {
  /** Whether this browser has what it takes. */
  static get supported() {
    return typeof ReadableStream === "function" && "body" in Response.prototype;
  }

  /**
   * @param {string} url of the WebSocket that it stands for, of the page's own origin
   * @param {string} protocol the subprotocol
   */
  constructor(url, protocol) {
    this.readyState = CONNECTING;
    /** Messages are ArrayBuffers. */
    this.binaryType = "arraybuffer";
    /** @type {((event: object) => void) | null} */
    this.onopen = null;
    /** @type {((event: {data: string | ArrayBuffer}) => void) | null} */
    this.onmessage = null;
    /** @type {((event: {code: number, reason: string}) => void) | null} */
    this.onclose = null;
    /** Never called: whatever happens, onclose follows. @type {((event: object) => void) | null} */
    this.onerror = null;
    /**
     * Why the relay did not let it in, as it says.
     * @type {{id: string, text: string, add?: string} | null}
     */
    this.refusal = null;
    const address = new URL(url);
    address.protocol = address.protocol === "wss:" ? "https:" : "http:";
    this._origin = address.origin;
    this._id = "";
    /** What waits for the next POST. @type {Part[]} */
    this._queue = [];
    this._queued = 0;
    /** What is in the present POST, and its size. @type {Part | null} */
    this._posted = null;
    /** Bytes of our half that have arrived. */
    this._arrived = 0;
    this._pumping = false;
    this._closeTimer = 0;
    /**
     * Ends the requests under way; Chrome before 66 cannot, there only the relay's half is ended
     * (`_source`).
     */
    this._abort = typeof AbortController === "function" ? new AbortController() : null;
    /**
     * The relay's half, while it is read.
     * @type {ReadableStreamDefaultReader<Uint8Array> | null}
     */
    this._source = null;
    this._reader = new FrameReader(
      (opcode, payload) => this._frame(opcode, payload),
      (code) => this._end(code, ""),
    );
    count += 1;
    if (count > MOST_SOCKETS) {
      this.refusal = TOO_MANY;
      Promise.resolve().then(() => this._end(ABNORMAL, ""));
    } else this._receive(`${this._origin}${PREFIX}${address.pathname}${address.search}`, protocol);
  }

  /** Bytes that have not arrived yet, as far as it is known. */
  get bufferedAmount() {
    return this._queued + (this._posted ? sizeOf(this._posted) : 0);
  }

  /** @param {string | Blob | ArrayBuffer | ArrayBufferView} data forgotten unless it is open */
  send(data) {
    if (this.readyState !== OPEN) return;
    if (typeof data === "string") this._send(TEXT, encoder.encode(data));
    else if (data instanceof Blob) this._send(BINARY, data);
    else if (data instanceof ArrayBuffer) this._send(BINARY, new Uint8Array(data.slice(0)));
    else this._send(BINARY, new Uint8Array(data.buffer, data.byteOffset, data.byteLength).slice());
  }

  /** @param {number} [code] @param {string} [reason] */
  close(code = 1000, reason = "") {
    if (this.readyState >= CLOSING) return;
    if (this.readyState === CONNECTING) {
      this._end(ABNORMAL, "");
      return;
    }
    this.readyState = CLOSING;
    this._queueFrame(CLOSE, Uint8Array.of(code >> 8, code & 255, ...encoder.encode(reason)));
    this._farewell();
    this._closeTimer = setTimeout(() => this._end(ABNORMAL, ""), CLOSE_LIMIT);
  }

  // --- the relay's half ---

  /** @param {string} address @param {string} protocol */
  async _receive(address, protocol) {
    try {
      const headers = { "Drawercam-Protocol": protocol };
      const answer = await this._fetch(address, { headers });
      if (answer.status !== 200) {
        const { error, text, add } = await answer.json();
        this.refusal = { id: error, text, add };
      } else await this._read(answer);
    } catch (error) {
      // The network, an abort, or an answer that is not the relay's: there is no connection, and
      // more is not known.
    }
    this._end(ABNORMAL, "");
  }

  /** @param {Response} answer */
  async _read(answer) {
    this._id = answer.headers.get("Drawercam-Stream") || "";
    if (!this._id || !answer.body) return;
    const source = answer.body.getReader();
    this._source = source;
    if (this.readyState !== CONNECTING) return this._stopReading();
    this.readyState = OPEN;
    if (this.onopen) this.onopen({});
    for (;;) {
      const { done, value } = await source.read();
      if (done || this._isClosed) return;
      this._reader.push(value);
    }
  }

  /** The relay's half would go on for ever, and keep one of the browser's few connections. */
  _stopReading() {
    if (this._source) this._source.cancel().catch(() => {}); // it may have ended before
  }

  get _isClosed() {
    return this.readyState === CLOSED;
  }

  /** @param {number} opcode @param {Uint8Array} payload */
  _frame(opcode, payload) {
    if (opcode === PING) {
      if (this.readyState === OPEN) this._send(PONG, payload);
    } else if (opcode === CLOSE) {
      const code = payload.length >= 2 ? payload[0] * 256 + payload[1] : 1005; // none was said
      this._end(code, decoder.decode(payload.subarray(2)));
    } else if (
      (opcode === TEXT || opcode === BINARY) &&
      this.onmessage &&
      this.readyState === OPEN
    ) {
      this.onmessage({
        data:
          opcode === TEXT ? decoder.decode(payload) : /** @type {ArrayBuffer} */ (payload.buffer),
      });
    }
  }

  // --- our half ---

  /** @param {number} opcode @param {Part} payload */
  _send(opcode, payload) {
    this._queueFrame(opcode, payload);
    if (!this._pumping) this._pump();
  }

  /** @param {number} opcode @param {Part} payload */
  _queueFrame(opcode, payload) {
    const size = sizeOf(payload);
    const head = headOf(opcode, size);
    this._queue.push(head, payload);
    this._queued += head.length + size;
  }

  async _pump() {
    this._pumping = true;
    await null; // what is sent in this turn goes together
    while (this._queue.length > 0 && this.readyState === OPEN) {
      const body = this._cut(MOST_POSTED);
      this._posted = body;
      const arrived = await this._post(body);
      if (this.readyState !== OPEN) return; // close() sees to the rest
      this._posted = null;
      if (!arrived) return this._end(ABNORMAL, "");
      this._arrived += sizeOf(body);
    }
    this._pumping = false;
  }

  /** Takes the first bytes of what waits. @param {number} most @returns {Part} */
  _cut(most) {
    const parts = [];
    let size = 0;
    while (this._queue.length > 0 && size < most) {
      const part = this._queue[0];
      const rest = most - size;
      if (sizeOf(part) <= rest) {
        parts.push(part);
        this._queue.shift();
      } else {
        parts.push(part.slice(0, rest));
        this._queue[0] = part instanceof Blob ? part.slice(rest) : part.subarray(rest);
      }
      size += Math.min(sizeOf(part), rest);
    }
    this._queued -= size;
    return together(parts);
  }

  /**
   * @param {Part} body
   * @returns {Promise<boolean>} whether it has arrived; not if the relay knows this connection no
   *   more
   */
  async _post(body) {
    for (const pause of [0].concat(RETRY_PAUSES)) {
      if (pause > 0) await new Promise((resolve) => setTimeout(resolve, pause));
      if (this.readyState !== OPEN) return false;
      try {
        const answer = await this._fetch(this._place(), { body: /** @type {any} */ (body) });
        return answer.status === 204;
      } catch (error) {
        // The network: nobody knows how much has arrived.
      }
    }
    return false;
  }

  /**
   * All that may not have arrived, in one last POST beside the one that may be under way: the page
   * may end at any moment.
   */
  async _farewell() {
    const rest = this._cut(Infinity);
    const body = this._posted ? together([this._posted, rest]) : rest;
    const keepalive = sizeOf(body) <= MOST_KEPT_ALIVE;
    try {
      await this._fetch(this._place(), { body: /** @type {any} */ (body), keepalive });
    } catch (error) {
      // It ends all the same, in CLOSE_LIMIT.
    }
  }

  /** Where the next POST belongs. */
  _place() {
    return `${this._origin}${PREFIX}/${this._id}?at=${this._arrived}`;
  }

  /** @param {string} address @param {RequestInit} more */
  _fetch(address, more) {
    const signal = more.keepalive || !this._abort ? undefined : this._abort.signal;
    return fetch(
      address,
      Object.assign(
        { method: "POST", cache: "no-store", credentials: "same-origin", signal },
        more,
      ),
    );
  }

  /** @param {number} code @param {string} reason */
  _end(code, reason) {
    if (this._isClosed) return;
    this.readyState = CLOSED;
    count -= 1;
    clearTimeout(this._closeTimer);
    if (this._abort) this._abort.abort();
    else this._stopReading();
    this._queue = [];
    this._queued = 0;
    this._posted = null;
    if (this.onclose) this.onclose({ code, reason });
  }
}
