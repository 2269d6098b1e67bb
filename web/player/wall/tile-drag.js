// A tile is dragged to another place of the wall: by the mouse at once, by a finger that has rested
// on it for a moment, because a finger that moves at once scrolls. Nothing else moves meanwhile; a
// bar shows where the tile would go.

/**
 * Milliseconds that a finger rests before it lifts the tile: as long as phones' own home screens
 * want.
 */
const REST = 450;

/** Pixels: below this a hand that trembles has not moved. */
const SLACK = 8;

/**
 * Pixels from the wall's edge in which it scrolls under what is dragged, and pixels at each
 * refresh.
 */
const EDGE = 48;
const SCROLL = 10;

/**
 * Where the bar stands, before and behind a tile: in a row that is read from the left, from the
 * right, and for a tile alone in its row.
 */
const MARKS = [
  ["drop-left", "drop-right"],
  ["drop-right", "drop-left"],
  ["drop-above", "drop-below"],
];
const ALL_MARKS = MARKS.reduce((all, some) => all.concat(some));

/**
 * x, y: where it began, pixels of the window; scroll: how far the wall was scrolled then; touch: by
 * a finger; lifted: it is dragged.
 * @typedef {{id: number, tile: HTMLElement, view: HTMLElement, x: number, y: number, scroll:
 *   number, touch: boolean, lifted: boolean}} Drag
 */

export class TileDrag {
  /**
   * @param {HTMLElement} wall
   * @param {{may: () => boolean, ondrop: (name: string, neighbour: string, after: boolean) =>
   *        void}} handlers may: whether tiles can be moved now; ondrop: this one goes beside that
   *        one, behind it or in front of it
   */
  constructor(wall, handlers) {
    this.wall = wall;
    this.handlers = handlers;
    /** @type {Drag | null} */
    this.drag = null;
    /** Where it would go. @type {{tile: HTMLElement, after: boolean} | null} */
    this.target = null;
    this.at = { x: 0, y: 0 };
    this.timer = 0;
    this.scrolling = 0;
    this.dropped = false; // the click that follows is none
    wall.addEventListener("pointerdown", (event) => this.begin(event));
    wall.addEventListener("pointermove", (event) => this.move(event));
    wall.addEventListener("pointerup", (event) => this.end(event, true));
    wall.addEventListener("pointercancel", (event) => this.end(event, false));
    wall.addEventListener(
      "contextmenu",
      (event) => this.drag && this.drag.touch && event.preventDefault(),
    );
    wall.addEventListener(
      "touchmove",
      (event) => this.drag && this.drag.lifted && event.cancelable && event.preventDefault(),
      { passive: false },
    );
    wall.addEventListener("click", (event) => this.click(event), true);
    addEventListener("keydown", (event) => {
      if (event.key !== "Escape" || !this.drag || !this.drag.lifted) return;
      event.preventDefault();
      this.stop();
      this.dropped = true; // the button is still down
    });
  }

  /** @param {PointerEvent} event */
  begin(event) {
    this.stop();
    this.dropped = false;
    const view = /** @type {Element} */ (event.target).closest(".view");
    const tile = view && view.closest(".tile");
    if (
      !(view instanceof HTMLElement) ||
      !(tile instanceof HTMLElement) ||
      event.button !== 0 ||
      !event.isPrimary ||
      !this.handlers.may()
    )
      return;
    const { clientX: x, clientY: y, pointerId: id } = event;
    const touch = event.pointerType === "touch";
    this.drag = { id, tile, view, x, y, scroll: this.wall.scrollTop, touch, lifted: false };
    this.at = { x, y };
    if (touch) this.timer = setTimeout(() => this.lift(), REST);
  }

  /** @param {PointerEvent} event */
  move(event) {
    const { drag } = this;
    if (!drag || event.pointerId !== drag.id) return;
    this.at = { x: event.clientX, y: event.clientY };
    if (drag.lifted) return this.follow();
    if (Math.hypot(this.at.x - drag.x, this.at.y - drag.y) < SLACK) return;
    if (drag.touch)
      this.stop(); // it scrolls
    else this.lift();
  }

  lift() {
    const { drag } = this;
    if (!drag) return;
    if (!drag.tile.isConnected || !this.handlers.may()) return this.stop();
    try {
      drag.view.setPointerCapture(drag.id);
    } catch (error) {
      return this.stop(); // the hand is gone
    }
    drag.lifted = true;
    drag.tile.classList.add("lifted");
    this.scrolling = requestAnimationFrame(() => this.scroll());
    this.follow();
  }

  /** The tile goes with the hand. */
  follow() {
    const { drag, at, wall } = this;
    if (!drag) return;
    drag.tile.style.transform = `translate(${at.x - drag.x}px, ${at.y - drag.y + wall.scrollTop - drag.scroll}px)`;
    this.setTarget(this.find(drag.tile));
  }

  /**
   * @param {HTMLElement} dragged
   * @returns {{tile: HTMLElement, after: boolean, mark: string} | null} what lies under the hand
   */
  find(dragged) {
    const { at, wall } = this;
    for (const tile of /** @type {Iterable<HTMLElement>} */ (wall.querySelectorAll(".tile"))) {
      const { left, right, top, bottom } = tile.getBoundingClientRect();
      if (tile === dragged || !(at.x >= left && at.x < right && at.y >= top && at.y < bottom))
        continue;
      const stacked = right - left > wall.clientWidth / 2; // alone in its row
      const leftwards = getComputedStyle(wall).direction === "rtl";
      const after = stacked ? at.y > (top + bottom) / 2 : at.x > (left + right) / 2 !== leftwards;
      return { tile, after, mark: MARKS[stacked ? 2 : leftwards ? 1 : 0][after ? 1 : 0] };
    }
    return null;
  }

  /** @param {{tile: HTMLElement, after: boolean, mark: string} | null} target */
  setTarget(target) {
    if (this.target) this.target.tile.classList.remove(...ALL_MARKS);
    this.target = target;
    if (target) target.tile.classList.add(target.mark);
  }

  /** What lies beyond the wall's edge can be reached, too. */
  scroll() {
    const { drag, wall, at } = this;
    if (!drag) return;
    const { top, bottom } = wall.getBoundingClientRect();
    const before = wall.scrollTop;
    if (at.y < top + EDGE) wall.scrollTop -= SCROLL;
    else if (at.y > bottom - EDGE) wall.scrollTop += SCROLL;
    if (wall.scrollTop !== before) this.follow();
    this.scrolling = requestAnimationFrame(() => this.scroll());
  }

  /**
   * @param {PointerEvent} event
   * @param {boolean} here whether the hand has let go, and has not lost it
   */
  end(event, here) {
    const { drag, target } = this;
    if (!drag || event.pointerId !== drag.id) return;
    this.dropped = drag.lifted && here;
    this.stop();
    const [name, neighbour] = [drag.tile, target && target.tile].map(
      (tile) => (tile && tile.isConnected && tile.dataset.camera) || "",
    );
    if (this.dropped && target && name && neighbour)
      this.handlers.ondrop(name, neighbour, target.after);
  }

  /** The tile is back where it was. */
  stop() {
    clearTimeout(this.timer);
    cancelAnimationFrame(this.scrolling);
    this.setTarget(null);
    if (this.drag) {
      this.drag.tile.classList.remove("lifted");
      this.drag.tile.style.transform = "";
    }
    this.drag = null;
  }

  /** Letting go is no tap; a key is. @param {MouseEvent} event */
  click(event) {
    if (!this.dropped || event.detail === 0) return;
    this.dropped = false;
    event.preventDefault();
    event.stopPropagation();
  }
}
