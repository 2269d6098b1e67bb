// A relay that moved: asks the registry where it is now. Works in a page and in a worker.
//
//   // has `registry`, `relay` and `ticket` where the relay has a registry
//   let session = await openSession();
//   new Link(path, { ..., elsewhere: elsewhere(() => session) });

import { Deadline } from "./deadline.js";

/** Milliseconds that the registry may take: it is in the same house, or not to be had at all. */
const PATIENCE = 4000;

/**
 * Milliseconds for which an answer is good. A wall has one link per camera, and all of them lose
 * their relay in the same moment.
 */
const FRESH = 2000;

/** Addresses that are tried at most: more networks than a relay is in. */
const MOST_BASES = 16;

/** Characters of an answer: a relay with that many addresses has a third of it. */
const LONGEST_ANSWER = 8192;

export class Finder {
  /**
   * @param {{registry: string, relay: string}} session the registry's address, such as
   *   `https://192.168.1.2:8099`, and the relay's name
   * @param {typeof fetch} [ask] for tests
   */
  constructor(session, ask) {
    this.url = `${String(session.registry).replace(/\/+$/, "")}/api/relays/${encodeURIComponent(session.relay)}`;
    this.ask = ask || ((url, options) => fetch(url, options));
    /** @type {Promise<string[]> | null} */
    this.answer = null;
    this.answeredAt = 0;
  }

  /**
   * Where the relay is now, likeliest address first. Never rejects: a registry that cannot be asked
   * knows nothing.
   * @returns {Promise<string[]>} such as `["https://192.168.1.20:8443"]`; empty when it is not
   *   there
   */
  look() {
    if (
      this.answer === null ||
      (this.answeredAt !== 0 && performance.now() - this.answeredAt > FRESH)
    ) {
      this.answeredAt = 0;
      this.answer = this._look().catch(() => []);
      this.answer.then(() => {
        this.answeredAt = performance.now();
      });
    }
    return this.answer;
  }

  async _look() {
    const deadline = new Deadline(PATIENCE);
    try {
      const { signal } = deadline;
      const answer = await deadline.within(
        this.ask(this.url, { cache: "no-store", credentials: "omit", redirect: "error", signal }),
      );
      if (!answer.ok) return [];
      const text = await deadline.within(answer.text());
      if (text.length > LONGEST_ANSWER) return [];
      const relay = JSON.parse(text);
      return relay.alive === true && Array.isArray(relay.urls) ? usable(relay.urls) : [];
    } finally {
      deadline.clear();
    }
  }
}

/**
 * Those that are an https address and nothing else. A ticket goes there, so never by anything that
 * can be listened to.
 * @param {any[]} urls
 * @returns {string[]}
 */
function usable(urls) {
  const found = urls.filter((url) => {
    try {
      const { protocol, host } = new URL(url);
      return protocol === "https:" && `https://${host}` === String(url).replace(/:443$/, "");
    } catch (error) {
      return false;
    }
  });
  return found.slice(0, MOST_BASES);
}

/**
 * What a link needs to follow its relay.
 * @param {() => {registry?: string, relay?: string, ticket?: string | null} | null} session gives
 *   what `/api/session` has said last
 * @param {typeof fetch} [ask] for tests
 * @returns {() => Promise<{base: string, ticket: string}[]>} asks where the relay is; nowhere, if
 *   there is no registry to ask
 */
export function elsewhere(session, ask) {
  return async () => {
    const { registry, relay, ticket } = session() || {};
    if (!registry || !relay || !ticket) return [];
    const bases = await finderOf(registry, relay, ask).look();
    return bases.map((base) => ({ base, ticket }));
  };
}

/**
 * Where a person can look for a relay that this page cannot find: the registry leads there, also
 * where only people may click through a certificate's warning.
 * @param {{registry?: string, relay?: string} | null} session what `/api/session` has said last
 * @returns {string} an address, or "" if there is no registry
 */
export function signpost(session) {
  const { registry, relay } = session || {};
  if (!registry || !relay) return "";
  return `${registry.replace(/\/+$/, "")}/go/${encodeURIComponent(relay)}${location.pathname}${location.search}`;
}

/** One for all links of a page or a worker. @type {Map<string, Finder>} */
const finders = new Map();

/** @param {string} registry @param {string} relay @param {typeof fetch} [ask] */
function finderOf(registry, relay, ask) {
  const key = `${registry} ${relay}`;
  const finder = finders.get(key) || new Finder({ registry, relay }, ask);
  finders.set(key, finder);
  return finder;
}
