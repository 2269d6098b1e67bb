// An element that plays by itself, where the browser lets it: else it wants a tap first.

export class Autoplay {
  /** @param {HTMLMediaElement} element
   *  @param {(blocked: boolean) => void} onblocked the browser wants a tap before it plays */
  constructor(element, onblocked) {
    this.element = element;
    this.onblocked = onblocked;
    this.blocked = false;
    this.ontap = () => this.play();
  }

  /** Starts the element. Called in a tap, it lifts the browser's ban on playing by itself. */
  play() {
    const begun = this.element.play();
    if (!begun) return;
    begun.then(
      () => this.block(false),
      (error) => {
        if (error.name === "NotAllowedError") this.block(true);
      },
    );
  }

  /** It plays, or may not. @param {boolean} blocked */
  block(blocked) {
    if (blocked === this.blocked) return;
    this.blocked = blocked;
    if (blocked) document.addEventListener("pointerup", this.ontap);
    else document.removeEventListener("pointerup", this.ontap);
    this.onblocked(blocked);
  }
}
