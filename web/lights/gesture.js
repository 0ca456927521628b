// What a hand on an element wants: a tap, a hold, a drag along the element, or none of these but to scroll the page.
// Nothing happens before that is clear, so a swipe that scrolls changes no light.

const SLOP = 8, SLOP_OF_MOUSE = 3; // pixels that a hand may move and still tap or hold
const HOLD = 400; // ms
const FINE = 60; // pixels beside the element at which a drag is half as fast, at twice that a third, and so on

/** @typedef {"x" | "y"} Axis */
/**
 * `begin` says whether a hand that comes down may do anything. The others are called when it is clear what it does:
 * `tap`; or `hold`; or for a drag `start`, then `move` by pixels upwards or to the right. `cancel` is called if the
 * browser takes a hold or a drag away, and `end` after all, also if there was none of these. Without `axis` there is
 * no drag.
 * @typedef {{ begin(): boolean, tap?(event: PointerEvent): void, hold?(): void, start?(): void,
 *   move?(pixels: number): void, end?(): void, cancel?(): void, readonly axis?: Axis }} Hand
 */

export class Gesture {
  #element;
  #on;
  /**
   * The id of the pointer, while one is down.
   * @type {number | null}
   */
  #pointer = null;
  /** @type {"unclear" | "drag" | "hold" | "none"} */
  #intent = "none";
  // The last press was a hold.
  #held = false;
  /** @type {Axis | undefined} */
  #axis;
  #x = 0;
  #y = 0;
  // Of the element where the hand came down: to ask again in a drag would lay out the page once more in each frame.
  /** @type {DOMRect | undefined} */
  #box;
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  #timer;

  /**
   * @param {HTMLElement} element
   * @param {Hand} on
   */
  constructor(element, on) {
    this.#element = element;
    this.#on = on;
    element.addEventListener("pointerdown", (event) => this.#press(event));
    element.addEventListener("pointermove", (event) => this.#move(event));
    element.addEventListener("pointerup", (event) => {
      this.#move(event);
      this.#leave(event, false);
    });
    // Or Chromium, even where nothing scrolls, lets a scroll run on after the drag, and a tap only ends that. While an
    // earlier scroll still runs out, it cannot be prevented.
    element.addEventListener("touchmove", (event) => {
      if (this.#intent === "drag" && event.cancelable) event.preventDefault();
    });
    // Or the end of a hold clicks what is under the finger by then.
    element.addEventListener("touchend", (event) => this.#held && event.preventDefault());
    for (const type of /** @type {const} */ (["pointercancel", "lostpointercapture"]))
      element.addEventListener(type, (event) => this.#leave(event, true));
  }

  // A hand is down and does something, or may do so.
  get active() {
    return this.#intent !== "none";
  }

  // Ends it without a call.
  drop() {
    clearTimeout(this.#timer);
    this.#pointer = null;
    this.#intent = "none";
  }

  /** @param {PointerEvent} event */
  #press({ button, pointerId, clientX, clientY }) {
    if (this.#pointer !== null || button !== 0 || !this.#on.begin()) return;
    this.#pointer = pointerId;
    this.#intent = "unclear";
    this.#held = false;
    this.#axis = this.#on.axis;
    [this.#x, this.#y] = [clientX, clientY];
    this.#box = this.#element.getBoundingClientRect();
    this.#element.setPointerCapture(pointerId);
    if (this.#on.hold) this.#timer = setTimeout(() => {
      this.#intent = "hold";
      this.#held = true;
      this.#on.hold?.();
    }, HOLD);
  }

  /** @param {PointerEvent} event */
  #move({ pointerId, pointerType, clientX, clientY }) {
    if (pointerId !== this.#pointer) return;
    const right = clientX - this.#x, up = this.#y - clientY;
    if (this.#intent === "unclear" && Math.hypot(right, up) > (pointerType === "mouse" ? SLOP_OF_MOUSE : SLOP)) {
      clearTimeout(this.#timer);
      const along = this.#axis === "x" ? Math.abs(right) > Math.abs(up) : Math.abs(up) > Math.abs(right);
      this.#intent = this.#axis && along ? "drag" : "none";
      [this.#x, this.#y] = [clientX, clientY];
      if (this.#intent === "drag") this.#on.start?.();
      else this.#on.end?.();
    } else if (this.#intent === "drag" && (right || up)) {
      [this.#x, this.#y] = [clientX, clientY];
      this.#on.move?.((this.#axis === "x" ? right : up) / (1 + this.#beside(clientX, clientY) / FINE));
    }
  }

  /**
   * How far the hand is beside the element, across the axis.
   * @param {number} x
   * @param {number} y
   */
  #beside(x, y) {
    const { left, right, top, bottom } = /** @type {DOMRect} */ (this.#box);
    return this.#axis === "x" ? Math.max(0, top - y, y - bottom) : Math.max(0, left - x, x - right);
  }

  /**
   * @param {PointerEvent} event
   * @param {boolean} cancelled
   */
  #leave(event, cancelled) {
    if (event.pointerId !== this.#pointer) return;
    const intent = this.#intent;
    this.drop();
    if (intent === "none") return;
    if (intent === "unclear" && !cancelled) this.#on.tap?.(event);
    if (intent !== "unclear" && cancelled) this.#on.cancel?.();
    this.#on.end?.();
  }
}
