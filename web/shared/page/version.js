// A page of another version: pages stay open for months, and the relay is upgraded meanwhile. What
// goes over the wire stays the same, so such a page goes on; but modules move, and what it loads
// later may be missing. So it loads itself anew, once for each version, where that disturbs nobody;
// else it says that there is a newer one.
//
//   version.follow({mayReload: async () => true, onstuck: () => {}});    // by the page
//   // in each `welcome` of the relay from which the page came, and of no other
//   version.hear(message.version);
//   // something of the page could not be loaded: perhaps it has moved
//   version.doubt();
//
// The relay writes its version into the page (docs/protocol.md); a page that was told none, by an
// older relay, knows nothing of this.

/**
 * Milliseconds for which nobody has touched the page: long enough to be at the other end of the
 * room.
 */
const UNTOUCHED = 60000;

/** Milliseconds before the relay is asked once more for a page that it did not give. */
const RETRY = 60000;

/** Milliseconds between two looks. */
const LOOK = 1000;

/** What a person does with a page. */
const TOUCHES = ["pointerdown", "pointermove", "touchstart", "keydown", "wheel"];

/** Where a page has its version, as it is served. */
const PLACE = /<meta name="version" content="([0-9a-f]+)">/;

/**
 * mayReload: whether it would disturb nobody just now, touches aside; onstuck: whether a person
 * should be told has changed
 * @typedef {{mayReload: () => boolean | Promise<boolean>, onstuck: () => void}} Follower
 */

/**
 * What it needs of a browser. own: this page's version, "" where it has none; served: asks the
 * relay for that of the same page, now; tried: the version for which it was loaded anew, also as it
 * was before that; clock: ms
 * @typedef {{own: string, served: () => Promise<string>, tried: () => string, remember: (version:
 *            string) => void, reload: () => void, clock: () => number}} Tools
 */

export class PageVersion {
  /** @param {Tools} tools */
  constructor(tools) {
    this.tools = tools;
    /** The relay's version where that is another one, else "". */
    this.newer = "";
    /** There is another one, and this page cannot take it by itself now. */
    this.stuck = false;
    this.touchedAt = tools.clock();
    this.askedAt = -Infinity;
    /** @type {Follower | null} */
    this.follower = null;
    this.looking = false;
  }

  /** @param {Follower} follower */
  follow(follower) {
    this.follower = follower;
  }

  /** A person is here. */
  touch() {
    this.touchedAt = this.tools.clock();
  }

  /** @param {unknown} version of the relay's pages; an older relay says none */
  hear(version) {
    const { own } = this.tools;
    if (!own || typeof version !== "string" || version === this.newer) return;
    this.newer = version === own ? "" : version;
    this.askedAt = -Infinity;
    if (!this.newer) this._setStuck(false);
  }

  /** Something that belongs to this page could not be loaded. */
  async doubt() {
    const version = await this._served();
    if (version) this.hear(version);
  }

  /** To be called every second. */
  async look() {
    if (!this.newer || !this.follower || this.looking) return;
    this.looking = true;
    try {
      await this._look(this.follower);
    } finally {
      this.looking = false;
    }
  }

  /** @param {Follower} follower */
  async _look(follower) {
    const { newer, tools } = this;
    if (tools.tried() === newer || !(await follower.mayReload())) return this._setStuck(true);
    if (this.askedAt === -Infinity) this._setStuck(false); // else it was asked for in vain
    if (!this._isUntouched || tools.clock() - this.askedAt < RETRY) return;
    this.askedAt = tools.clock();
    // A page that would not come, or not be another one, is worse than this one.
    if ((await this._served()) !== newer) return this._setStuck(true);
    if (newer !== this.newer || !this._isUntouched || !(await follower.mayReload())) return;
    tools.remember(newer);
    tools.reload();
  }

  get _isUntouched() {
    return Math.abs(this.tools.clock() - this.touchedAt) >= UNTOUCHED;
  }

  /** @returns {Promise<string>} "" where the relay does not say */
  async _served() {
    try {
      return await this.tools.served();
    } catch (error) {
      return "";
    }
  }

  /** @param {boolean} stuck */
  _setStuck(stuck) {
    if (stuck === this.stuck) return;
    this.stuck = stuck;
    if (this.follower) this.follower.onstuck();
  }
}

/** @returns {string} */
function ownVersion() {
  const meta = document.querySelector('meta[name="version"]');
  return (meta && meta.getAttribute("content")) || "";
}

/** @returns {Promise<string>} */
async function servedVersion() {
  const answer = await fetch(location.pathname, { credentials: "same-origin", cache: "no-store" });
  const found = answer.ok ? PLACE.exec(await answer.text()) : null;
  return found ? found[1] : "";
}

/**
 * It stands in the history entry, which outlives a reload also where storage is blocked. What a
 * page writes there may replace it, so it is read first.
 */
let tried = String((history.state && history.state.reloadedFor) || "");

/** This page. */
export const version = new PageVersion({
  own: ownVersion(),
  served: servedVersion,
  tried: () => tried,
  remember: (newer) => {
    tried = newer;
    history.replaceState(Object.assign({}, history.state, { reloadedFor: newer }), "");
  },
  reload: () => location.reload(),
  clock: () => Date.now(),
});

export const NEWER = "There is a newer version of this page: reload it when it suits you.";

for (const touch of TOUCHES)
  addEventListener(touch, () => version.touch(), { capture: true, passive: true });
setInterval(() => version.look(), LOOK);
