// A limit for requests, in a page and in a worker:
//
//   const deadline = new Deadline(4000);
//   try {
//     const answer = await deadline.within(fetch(address, { signal: deadline.signal }));
//   } finally {
//     deadline.clear();
//   }
//
// Chrome before 66 cannot abort a request; there nobody waits for its answer any more.

export class Deadline {
  /** @param {number} limit ms */
  constructor(limit) {
    /** Whether it was aborted, by the limit or by somebody. */
    this.aborted = false;
    this.controller = typeof AbortController === "function" ? new AbortController() : null;
    /** For `fetch`. @type {AbortSignal | undefined} */
    this.signal = this.controller ? this.controller.signal : undefined;
    /** @type {(error: Error) => void} */
    this.reject = () => {};
    /** @type {Promise<never>} */
    this.over = new Promise((_, reject) => {
      this.reject = reject;
    });
    this.over.catch(() => {}); // a limit that nobody waits for is none of a page's errors
    this.timer = setTimeout(() => this.abort(), limit);
  }

  /**
   * @template T
   * @param {Promise<T>} action
   * @returns {Promise<T>} rejected with an AbortError when it was aborted before
   */
  within(action) {
    return Promise.race([action, this.over]);
  }

  abort() {
    this.aborted = true;
    clearTimeout(this.timer);
    if (this.controller) this.controller.abort();
    this.reject(new DOMException("given up", "AbortError"));
  }

  /** The answer has come. */
  clear() {
    clearTimeout(this.timer);
  }
}
