// The slider of one light: turns taps, drags, wheel, keys and the range input's own events into levels, and keeps
// levels from the service from moving it under the thumb.

import { Gesture } from "./gesture.js";

/** @type {Record<string, number>} */
const KEYS = {
  ArrowUp: 1, ArrowRight: 1, ArrowDown: -1, ArrowLeft: -1,
  PageUp: 10, PageDown: -10, Home: -100, End: 100,
};
const WHEEL_PERCENT = 20; // pixels of wheel for one percent
const WHEEL_LINE = 33; // pixels
const NOTCHES = [0, 50, 100]; // levels at which a phone ticks under the thumb
const TICK = 8; // ms
const GRIP = 28; // pixels of the track that the grip takes at its lowest, as in light.css
const GLIDE = 0.4; // seconds to the level that was tapped

// The levels below LOW have this share of the track: a percent is most there.
const LOW = 10, LOW_SHARE = 0.25;

/** @param {number} level */
const clamp = (level) => Math.min(100, Math.max(0, level));

/**
 * Where on the track a level is: from 0 at its low end to 1.
 * @param {number} level
 */
export const placeOf = (level) =>
  level < LOW ? (level / LOW) * LOW_SHARE : LOW_SHARE + ((level - LOW) / (100 - LOW)) * (1 - LOW_SHARE);

/**
 * The level at a place on the track: in tenths while it is low, or else whole.
 * @param {number} place
 */
export function levelAt(place) {
  const level = place < LOW_SHARE ? (place / LOW_SHARE) * LOW
    : LOW + ((place - LOW_SHARE) / (1 - LOW_SHARE)) * (100 - LOW);
  return clamp(level < LOW ? Math.round(level * 10) / 10 : Math.round(level));
}

/** @typedef {import("./gesture.js").Axis} Axis */
/**
 * What a slider calls. `move` moves the grip, and `show` shows the rest of a level; it is told whether that is only
 * passed on the way to another. `start` is called when a hand comes down, `tap` and `hold` on a tile. `glide` is the
 * seconds in which the light shall reach the level, if it shall take time. `inTurn` shows what a drag changes, if not
 * all of it shall be shown at once. `interval` is the minimum time from one send to the next, in ms; without it every
 * frame may send.
 * @typedef {{ move(): void, show(isPassing: boolean): void }} Turn
 * @typedef {{ move(level: number): void, show(level: number, isPassing?: boolean): void,
 *   send(level: number, glide?: number): void, start(): void, tap?(): void, hold?(): void, inTurn?(turn: Turn): void,
 *   interval?: number }} SliderEvents
 */

export class Slider {
  // The level on the screen.
  level = 0;
  // A tile is a slider along its width, and what a tap or a hold on it does is not about its level.
  tile = false;
  #on;
  #section;
  #track;
  #gesture;
  #live = false;
  // What the service believes this page shows.
  #known = 0;
  /** @type {number | undefined} */
  #unsent;
  /** @type {number | undefined} */
  #glide;
  #frame = 0;
  // When the last level was sent, in ms of performance.now().
  #sentAt = 0;
  /**
   * A level from the service that waits for the end of the drag.
   * @type {number | undefined}
   */
  #deferred;
  // Of the drag: the level where it began, the place on the track before rounding, and the pixels from 0 to 100.
  #began = 0;
  #place = 0;
  #travel = 1;
  /**
   * Shows the level a little later, in two parts.
   * @type {Turn}
   */
  turn = {
    move: () => this.#on.move(this.level),
    show: (isPassing) => this.#on.show(this.level, isPassing),
  };
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
    const input = section.querySelector("input"), track = this.#track;

    // Or a click on the track takes the focus away from the input.
    track.addEventListener("mousedown", (event) => event.preventDefault());
    const focus = () => input.focus({ preventScroll: true, focusVisible: false });
    const slider = this;
    this.#gesture = new Gesture(track, {
      get axis() {
        return /** @type {Axis} */ (slider.tile ? "x" : "y");
      },
      get hold() {
        return slider.tile ? on.hold : undefined;
      },
      begin: () => {
        if (this.#live) on.start();
        return this.#live;
      },
      tap: ({ clientY }) => {
        focus();
        if (this.tile) on.tap?.();
        else this.#glideTo(clientY);
      },
      start: () => {
        focus();
        this.#setDragging(true);
        this.#began = this.level;
        this.#place = placeOf(this.level);
        this.#travel = (this.tile ? track.offsetWidth : track.offsetHeight) - GRIP;
      },
      move: (pixels) => this.#drag(pixels),
      end: () => {
        this.#setDragging(false);
        this.#flush();
      },
      cancel: () => this.#cancel(),
    });
    track.addEventListener("wheel", (event) => this.#turnWheel(event), { passive: false });
    input.addEventListener("keydown", (event) => this.#pressKey(event));
    input.addEventListener("input", () => this.#set(Math.round(input.valueAsNumber)));
    // A hidden page gets no more frames.
    document.addEventListener("visibilitychange", () => document.hidden && this.#flush());
  }

  // A hand is on the slider.
  get dragging() {
    return this.#gesture.active;
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
    this.#gesture.drop();
    this.#setDragging(false);
  }

  /** @param {boolean} is */
  #setDragging(is) {
    this.#section.classList.toggle("dragging", is);
    const { dataset } = document.documentElement;
    if (is) dataset.dragging = "";
    else if (this.#on.inTurn) this.#on.inTurn(this.turn);
    else delete dataset.dragging;
  }

  /** @param {number} y */
  #glideTo(y) {
    const { bottom, height } = this.#track.getBoundingClientRect();
    // The middle of the grip comes under the finger.
    this.#set(levelAt((bottom - GRIP / 2 - y) / (height - GRIP)), GLIDE);
  }

  /**
   * Relative to where the finger went down.
   * @param {number} pixels
   */
  #drag(pixels) {
    this.#place = Math.min(1, Math.max(0, this.#place + pixels / this.#travel));
    const before = this.level;
    this.#set(levelAt(this.#place));
    tick(before, this.level);
  }

  // Back to where the drag began, unless somebody else has set the light since.
  #cancel() {
    if (this.#deferred === undefined) this.#set(this.#began);
    else this.#unsent = undefined;
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
    const { scrollHeight, clientHeight } = document.documentElement;
    // A wheel that can scroll the page scrolls it.
    if (!this.#live || this.dragging || event.ctrlKey || scrollHeight > clientHeight) return;
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
   * Sets the level again from which steps have led away, some of which may have no answer yet.
   * @param {number} level
   */
  goBack(level) {
    if (!this.#live) return;
    this.#paint(level);
    this.#unsent = level;
    this.#glide = undefined;
    this.#known = NaN;
    this.#flush();
  }

  /**
   * A change by this page: painted now, sent with the next frame.
   * @param {number} level
   * @param {number} [glide]
   */
  #set(level, glide) {
    if (!this.#live || level === this.level) return;
    this.#paint(level);
    this.#unsent = level;
    this.#glide = glide;
    if (document.hidden) this.#flush();
    else this.#frame ||= requestAnimationFrame(() => this.#sendWhenDue());
  }

  /**
   * A change by the master, sent at once as the master keeps the interval, and to be shown in its turn. Ignored during a
   * drag; says whether it was not.
   * @param {number} level
   * @param {number} [glide]
   */
  setByMaster(level, glide) {
    if (!this.#live || this.dragging || level === this.level) return false;
    this.level = level;
    this.#unsent = level;
    this.#glide = glide;
    this.#flush();
    return true;
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
      this.#on.send(level, this.#glide);
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
    this.#on.move(level);
    if (this.#on.inTurn && this.dragging) this.#on.inTurn(this.turn);
    else this.#on.show(level);
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

const REPEAT_EVERY = 80; // ms
const BUSY_REPEATS = 4;

/**
 * Calls `step` for a tap, and repeatedly while the button is held; `cancel` if the browser takes a hold away. While
 * `busy` says that the last step has no answer yet only each fourth repeat counts, or on a slow network nothing would
 * be painted before the release.
 * @param {HTMLButtonElement} button
 * @param {{ begin(): void, step(): void, cancel(): void, busy(): boolean }} on
 */
export function repeatWhileHeld(button, { begin, step, cancel, busy }) {
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  let timer;
  let skipped = 0;
  const repeat = () => {
    if (button.disabled) return;
    timer = setTimeout(repeat, REPEAT_EVERY);
    if (busy() && ++skipped < BUSY_REPEATS) return;
    skipped = 0;
    step();
  };
  new Gesture(button, {
    begin: () => !button.disabled,
    tap: step,
    hold() {
      begin();
      repeat();
    },
    end: () => clearTimeout(timer),
    cancel,
  });
  // Keys and screen readers click without a pointer.
  button.addEventListener("click", (event) => event.detail === 0 && step());
}
