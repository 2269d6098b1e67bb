// How a phone comes here to film, as the relay says: its address, the code with it, and, for a
// moment after a tap, both with the key.

import { RefusalError } from "../../shared/relay/login.js";

/** Hosts that a phone cannot reach: its own. */
const LOCAL = ["localhost", "127.0.0.1", "[::1]"];

/**
 * others: the same at its other addresses; code: the address of the picture, "" for none.
 * @typedef {{url: string, others: string[], withKey: boolean, reach: string, code: string}} Told
 */

/** @param {string} address @returns {boolean} whether only this computer gets there */
export function isLocal(address) {
  return LOCAL.includes(new URL(address).hostname);
}

export class Invitation {
  constructor() {
    /** What the relay has said last, without the key. @type {Told | null} */
    this.bare = null;
    /** The same with the key, while it is shown. @type {Told | null} */
    this.shown = null;
  }

  /** Asks the relay. What it does not say is asked again when the panel is opened again. */
  async load() {
    try {
      const told = await readInvite();
      const open = !told.withKey && !isLocal(told.url) ? { code: await readCode() } : {};
      this.bare = Object.assign(bare(told), open);
    } catch (error) {
      this.bare = null;
    }
  }

  /** Asks for the key, too. Where there is none to put into it, the relay makes one that films and
   *  does nothing else. @throws {RefusalError | Error} where the relay makes none, or is away */
  async reveal() {
    let told = await readInvite();
    if (!told.withKey) {
      await makeFilmKey();
      told = await readInvite();
    }
    this.bare = bare(told);
    this.shown = Object.assign(told, { code: await readCode() });
  }

  /** The key is shown no more. */
  cover() {
    this.shown = null;
  }
}

/**
 * @param {string} path
 * @returns {Promise<Response>} of which nothing is left on the disk, because it
 * may hold a key
 */
async function askInvite(path) {
  const answer = await fetch(path, { credentials: "same-origin", cache: "no-store" });
  if (!answer.ok) throw new Error(`status ${answer.status}`);
  return answer;
}

/** @returns {Promise<Told>} */
async function readInvite() {
  return (await askInvite("/api/invite")).json();
}

/** @returns {Promise<string>} the address of a picture */
async function readCode() {
  const code = await (await askInvite("/api/invite.svg")).text();
  return `data:image/svg+xml,${encodeURIComponent(code)}`;
}

async function makeFilmKey() {
  const body = JSON.stringify({ publish: "all", label: "to add cameras" });
  const headers = { "Content-Type": "application/json" };
  const credentials = "same-origin";
  const answer = await fetch("/api/keys", { method: "POST", credentials, headers, body });
  if (answer.ok) return;
  const { error, text } = await answer.json();
  throw new RefusalError({ id: error, text });
}

/** @param {string} address */
function withoutKey(address) {
  return address.replace(/#.*$/, "");
}

/** @param {Told} told @returns {Told} without the key */
function bare(told) {
  const { url, others } = told;
  return { ...told, url: withoutKey(url), others: others.map(withoutKey), code: "" };
}
