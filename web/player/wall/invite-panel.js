// The invitation on the page: an empty wall is one, and a full one shows it when asked.

import { Glimpse } from "../../shared/page/glimpse.js";
import { Invitation, isLocal } from "./invitation.js";
import { RefusalError } from "../../shared/relay/login.js";
import { cover } from "../../shared/page/inert.js";

/** @typedef {import("../../shared/types.js").Session | null} MaybeSession */

export class InvitePanel {
  /**
   * @param {(id: string) => any} find a part of the page
   * @param {{session: () => MaybeSession, isEmpty: () => boolean, hidden: () => number, guest: ()
   *          => string, base: () => string}} wall isEmpty: no camera is there; hidden: how
   *        many are put away; guest: what a guest is told where none of its cameras is here, or "";
   *        base: where the relay is, as far as that is known
   */
  constructor(find, wall) {
    this.find = find;
    this.wall = wall;
    this.panel = find("invite");
    /** Whether it lies over a wall that has cameras. */
    this.inviting = false;
    this.invitation = new Invitation();
    this.glimpse = new Glimpse((seen) => {
      if (!seen) this.invitation.cover();
      this._draw();
    });
    find("add").addEventListener("click", () => {
      this.inviting = true;
      this.apply();
      find("invite-title").focus();
    });
    find("invite-close").addEventListener("click", () => this.close());
    find("invite-show").addEventListener("click", () => this._showCode());
    this.panel.addEventListener("click", (/** @type {MouseEvent} */ event) => {
      if (event.target === this.panel && this.inviting) this.close();
    });
  }

  close() {
    this.inviting = false;
    this.apply();
    this.find("add").focus();
  }

  /** A key is asked for: nobody is invited. */
  hide() {
    this.panel.hidden = true;
  }

  /** Shows it, or not, as the wall is. */
  apply() {
    const { panel, find } = this;
    const empty = this.wall.isEmpty();
    if (empty) this.inviting = false;
    const { inviting } = this;
    const wasHidden = panel.hidden;
    panel.hidden = !(empty || inviting);
    panel.classList.toggle("over", inviting);
    find("invite-close").hidden = empty;
    const guest = this.wall.guest();
    const waits = this.wall.hidden() > 0 || guest !== "";
    const none = waits ? "No camera is filming" : "No camera yet";
    find("invite-title").textContent = empty ? none : "Add a camera";
    find("invite-guest").textContent = empty ? guest : "";
    find("invite-guest").hidden = find("invite-guest").textContent === "";
    find("invite-how").hidden = !find("invite-guest").hidden;
    if (inviting) {
      panel.setAttribute("role", "dialog");
      panel.setAttribute("aria-modal", "true");
    } else {
      panel.removeAttribute("role");
      panel.removeAttribute("aria-modal");
    }
    cover(find("page"), inviting ? find("invite-title") : null);
    if (panel.hidden) this.glimpse.end();
    else if (find("invite-how").hidden) find("invite-code").hidden = true;
    else if (wasHidden) this._load();
  }

  async _load() {
    this.find("invite-wrong").hidden = true;
    await this.invitation.load();
    this._draw();
  }

  /** A person wants to see the code. */
  async _showCode() {
    const { find, invitation, glimpse } = this;
    find("invite-wrong").hidden = true;
    find("invite-show").disabled = true;
    try {
      await invitation.reveal();
      glimpse.begin();
      if (glimpse.seen) find("invite-title").focus();
      else invitation.cover();
    } catch (error) {
      const away = "The relay does not answer. Try again in a moment.";
      find("invite-wrong").textContent = error instanceof RefusalError ? error.refusal.text : away;
      find("invite-wrong").hidden = false;
    }
    find("invite-show").disabled = false;
  }

  /** Shows how a phone comes here; what holds a key only for a moment. */
  _draw() {
    const { find } = this;
    const { bare, shown } = this.invitation;
    const session = this.wall.session();
    const asksForKey = session !== null && session.keys;
    const told = shown || bare;
    // The relay's address, as far as it is known here, is the best guess.
    const url = told ? told.url : new URL("/camera.html", this.wall.base()).href;
    const local = told !== null && isLocal(url);
    const manages = session !== null && session.manage;
    const complete = told !== null && asksForKey && (told.withKey || manages);
    const covered = complete && !local && shown === null;
    find("invite-local").hidden = !local;
    for (const why of find("invite-local").querySelectorAll("[data-reach]")) {
      why.hidden = !told || why.dataset.reach !== told.reach;
    }
    find("invite-before").hidden = find("invite-show").hidden = !covered;
    find("invite-phone").hidden = local || covered;
    find("invite-link").hidden = covered;
    this._drawCode(told && !local && !covered ? told.code : "");
    find("invite-address").href = url;
    showAddress(find("invite-address"), url);
    find("invite-key").hidden = !asksForKey || complete;
    this._drawOthers(told && !covered ? told.others : []);
  }

  /** @param {string} address of the picture, "" for none */
  _drawCode(address) {
    const code = this.find("invite-code");
    code.hidden = address === "";
    if (code.hidden) code.removeAttribute("src");
    else code.src = address;
  }

  /** @param {string[]} others addresses */
  _drawOthers(others) {
    const list = this.find("invite-list");
    this.find("invite-others").hidden = others.length === 0;
    list.textContent = "";
    for (const address of others) {
      const item = document.createElement("li");
      showAddress(item, address);
      list.append(item);
    }
  }
}

/**
 * Breaks a long address between its parts only.
 * @param {HTMLElement} element
 * @param {string} address
 */
function showAddress(element, address) {
  element.textContent = "";
  for (const text of address.match(/[^/]+\/*/g) || []) {
    element.append(text, document.createElement("wbr"));
  }
}
