// The slider of one light: turns drags, wheel, keys and the range input's own events into levels, and keeps
// levels from the service from moving it under the thumb.

/** @type {Record<string, number>} */
const KEYS = {
  ArrowUp: 1, ArrowRight: 1, ArrowDown: -1, ArrowLeft: -1,
  PageUp: 10, PageDown: -10, Home: -100, End: 100,
};
const WHEEL_PERCENT = 20; // pixels of wheel for one percent
const WHEEL_LINE = 33; // pixels
const NOTCHES = [0, 50, 100]; // levels at which a phone ticks under the thumb
const TICK = 8; // ms

/** @param {number} level */
const clamp = (level) => Math.min(100, Math.max(0, level));

/**
 * What a slider calls. `start` is called when a drag begins. `interval` is the minimum time from one send to the
 * next, in ms; without it every frame may send.
 * @typedef {{ show(level: number): void, send(level: number): void, start(): void, readonly interval?: number }} SliderEvents
 */

export class Slider {
  // The level on the screen.
  level = 0;
  #on;
  #section;
  #track;
  #live = false;
  // What the service believes this page shows.
  #known = 0;
  /** @type {number | undefined} */
  #unsent;
  #frame = 0;
  // When the last level was sent, in ms of performance.now().
  #sentAt = 0;
  /**
   * A level from the service that waits for the end of the drag.
   * @type {number | undefined}
   */
  #deferred;
  /**
   * The id of the pointer that drags.
   * @type {number | null}
   */
  #pointer = null;
  // Of the drag: the level before rounding, and where the pointer was last.
  #position = 0;
  #y = 0;
  // Percent of wheel that are not a whole step yet.
  #wheel = 0;

  /**
   * @param {HTMLElement} section
   * @param {SliderEvents} on
   */
  constructor(section, on) {
    this.#on = on;
    this.#section = section;
    this.#track = section.querySelector(".track");
    const input = section.querySelector("input");
    const track = this.#track;

    // Or a click on the track takes the focus away from the input.
    track.addEventListener("mousedown", (event) => event.preventDefault());
    track.addEventListener("pointerdown", (event) => this.#start(event, input));
    track.addEventListener("pointermove", (event) => this.#move(event));
    track.addEventListener("pointerup", (event) => {
      this.#move(event);
      this.#end(event);
    });
    track.addEventListener("pointercancel", (event) => this.#end(event));
    track.addEventListener("lostpointercapture", (event) => this.#end(event));
    track.addEventListener("wheel", (event) => this.#turnWheel(event), { passive: false });
    input.addEventListener("keydown", (event) => this.#pressKey(event));
    input.addEventListener("input", () => this.#set(Math.round(input.valueAsNumber)));
    // A hidden page gets no more frames.
    document.addEventListener("visibilitychange", () => document.hidden && this.#flush());
  }

  get dragging() {
    return this.#pointer !== null;
  }

  /**
   * Takes a level from the service: shown now, or after the drag.
   * @param {number} level
   */
  receive(level) {
    this.#deferred = level;
    this.#applyDeferred();
  }

  /**
   * Without a connection nothing moves, and what was not sent is dropped.
   * @param {boolean} live
   */
  set live(live) {
    this.#live = live;
    if (live) return;
    cancelAnimationFrame(this.#frame);
    this.#frame = 0;
    this.#unsent = this.#deferred = undefined;
    this.#release();
  }

  /**
   * @param {PointerEvent} event
   * @param {HTMLInputElement} input
   */
  #start(event, input) {
    if (!this.#live || this.dragging || event.button !== 0) return;
    this.#pointer = event.pointerId;
    this.#position = this.level;
    this.#y = event.clientY;
    this.#track.setPointerCapture(event.pointerId);
    input.focus({ preventScroll: true, focusVisible: false });
    this.#on.start();
  }

  /** @param {PointerEvent} event */
  #move({ pointerId, clientY }) {
    if (pointerId !== this.#pointer || clientY === this.#y) return;
    this.#section.classList.add("dragging");
    // Relative to where the finger went down, so that a touch alone changes nothing.
    this.#position = clamp(this.#position + ((this.#y - clientY) / this.#track.offsetHeight) * 100);
    this.#y = clientY;
    const before = this.level;
    this.#set(Math.round(this.#position));
    tick(before, this.level);
  }

  /** @param {PointerEvent} event */
  #end({ pointerId }) {
    if (pointerId !== this.#pointer) return;
    this.#release();
    this.#flush();
  }

  #release() {
    this.#pointer = null;
    this.#section.classList.remove("dragging");
  }

  /** @param {KeyboardEvent} event */
  #pressKey(event) {
    const step = KEYS[event.key];
    if (!step || event.ctrlKey || event.altKey || event.metaKey) return;
    event.preventDefault();
    if (!this.dragging) this.step(step);
  }

  /** @param {WheelEvent} event */
  #turnWheel(event) {
    if (!this.#live || this.dragging || event.ctrlKey) return;
    event.preventDefault();
    this.#wheel -= (event.deltaY * (event.deltaMode ? WHEEL_LINE : 1)) / WHEEL_PERCENT;
    const step = Math.trunc(this.#wheel);
    this.#wheel -= step;
    this.step(step);
  }

  /** @param {number} step in percent; the result is rounded to 0.1 */
  step(step) {
    this.#set(clamp(Math.round((this.level + step) * 10) / 10));
  }

  /**
   * A change by this page: painted now, sent with the next frame.
   * @param {number} level
   */
  #set(level) {
    if (!this.#live || level === this.level) return;
    this.#paint(level);
    this.#unsent = level;
    if (document.hidden) this.#flush();
    else this.#frame ||= requestAnimationFrame(() => this.#sendWhenDue());
  }

  /**
   * A change by the master, sent at once as the master keeps the interval. Ignored during a drag.
   * @param {number} level
   */
  setByMaster(level) {
    if (!this.#live || this.dragging || level === this.level) return;
    this.#paint(level);
    this.#unsent = level;
    this.#flush();
  }

  #sendWhenDue() {
    const due = performance.now() - this.#sentAt >= (this.#on.interval ?? 0);
    if (due) this.#flush();
    else this.#frame = requestAnimationFrame(() => this.#sendWhenDue());
  }

  #flush() {
    cancelAnimationFrame(this.#frame);
    this.#frame = 0;
    const level = this.#unsent;
    this.#unsent = undefined;
    if (level !== undefined && level !== this.#known) {
      this.#known = level;
      this.#sentAt = performance.now();
      // Older than the level that is sent now.
      this.#deferred = undefined;
      this.#on.send(level);
    }
    this.#applyDeferred();
  }

  #applyDeferred() {
    if (this.#deferred === undefined || this.#unsent !== undefined || this.dragging) return;
    this.#known = this.#deferred;
    this.#deferred = undefined;
    this.#paint(this.#known);
  }

  /** @param {number} level */
  #paint(level) {
    this.level = level;
    this.#on.show(level);
  }
}

/**
 * Vibrates when the level reaches or passes a notch.
 * @param {number} before
 * @param {number} after
 */
function tick(before, after) {
  /** @param {number} notch */
  const passed = (notch) => before !== notch && (before - notch) * (after - notch) <= 0;
  // A browser complains of a vibration before the first touch of the page has ended.
  if (NOTCHES.some(passed) && navigator.userActivation?.hasBeenActive) navigator.vibrate?.(TICK);
}

const REPEAT_AFTER = 400, REPEAT_EVERY = 80; // ms
const BUSY_REPEATS = 4;

/**
 * Calls `step` for a press, and repeatedly while the button is held. While `busy` says that the last step has no
 * answer yet only each fourth repeat counts, or on a slow network nothing would be painted before the release.
 * @param {HTMLButtonElement} button
 * @param {() => void} step
 * @param {() => boolean} busy
 */
export function repeatWhileHeld(button, step, busy) {
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  let timer;
  let skipped = 0;
  const stop = () => clearTimeout(timer);
  const repeat = () => {
    if (button.disabled) return;
    timer = setTimeout(repeat, REPEAT_EVERY);
    if (busy() && ++skipped < BUSY_REPEATS) return;
    skipped = 0;
    step();
  };
  button.addEventListener("pointerdown", (event) => {
    if (event.button !== 0 || button.disabled) return;
    stop();
    button.setPointerCapture(event.pointerId);
    step();
    timer = setTimeout(repeat, REPEAT_AFTER);
  });
  for (const type of ["pointerup", "pointercancel", "lostpointercapture"]) button.addEventListener(type, stop);
  // Keys and screen readers click without a pointer.
  button.addEventListener("click", (event) => event.detail === 0 && step());
}
