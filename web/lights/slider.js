// The slider of one light: turns drags, wheel, keys and the range input's own events into levels, and
// keeps levels from the service away from under the thumb.

const KEYS = {
  ArrowUp: 1, ArrowRight: 1, ArrowDown: -1, ArrowLeft: -1,
  PageUp: 10, PageDown: -10, Home: -100, End: 100,
};
const WHEEL_PERCENT = 20; // pixels of wheel for one percent
const WHEEL_LINE = 33; // pixels
const NOTCHES = [0, 50, 100]; // levels at which a phone ticks under the thumb
const TICK = 8; // ms

const clamp = (level) => Math.min(100, Math.max(0, level));

export class Slider {
  level = 0; // what is shown
  #on;
  #section;
  #track;
  #live = false;
  #known = 0; // what the service believes this page shows
  #unsent;
  #frame = 0;
  #sent = 0; // ms of performance.now()
  #held; // came from the service, waits for the end of the drag
  #pointer = null; // the one that drags
  #position = 0; // of the drag: a level that is not rounded yet
  #y = 0;
  #wheel = 0;

  // `on` has show(level), send(level), start(), called when a drag begins, and perhaps `every`, the ms
  // from one send to the next where not every frame is to send.
  constructor(section, on) {
    this.#on = on;
    this.#section = section;
    this.#track = section.querySelector(".track");
    const input = section.querySelector("input");
    const listen = (type, task) => this.#track.addEventListener(type, task);

    // Or a click on the track takes the focus away from the input.
    listen("mousedown", (event) => event.preventDefault());
    listen("pointerdown", (event) => this.#start(event, input));
    listen("pointermove", (event) => this.#move(event));
    listen("pointerup", (event) => {
      this.#move(event);
      this.#end(event);
    });
    listen("pointercancel", (event) => this.#end(event));
    listen("lostpointercapture", (event) => this.#end(event));
    this.#track.addEventListener("wheel", (event) => this.#roll(event), { passive: false });
    input.addEventListener("keydown", (event) => this.#press(event));
    input.addEventListener("input", () => this.#set(Math.round(input.valueAsNumber)));
    // A hidden page gets no more frames.
    document.addEventListener("visibilitychange", () => document.hidden && this.#flush());
  }

  get dragging() {
    return this.#pointer !== null;
  }

  // A level from the service.
  follow(level) {
    this.#held = level;
    this.#settle();
  }

  // Without a connection nothing moves, and what was not sent is forgotten.
  set live(live) {
    this.#live = live;
    if (live) return;
    cancelAnimationFrame(this.#frame);
    this.#frame = 0;
    this.#unsent = this.#held = undefined;
    this.#release();
  }

  #start(event, input) {
    if (!this.#live || this.#pointer !== null || event.button !== 0) return;
    this.#pointer = event.pointerId;
    this.#position = this.level;
    this.#y = event.clientY;
    this.#track.setPointerCapture(event.pointerId);
    input.focus({ preventScroll: true, focusVisible: false });
    this.#on.start();
  }

  #move({ pointerId, clientY }) {
    if (pointerId !== this.#pointer || clientY === this.#y) return;
    this.#section.classList.add("dragging");
    this.#position = clamp(this.#position + ((this.#y - clientY) / this.#track.offsetHeight) * 100);
    this.#y = clientY;
    const before = this.level;
    this.#set(Math.round(this.#position));
    tick(before, this.level);
  }

  #end({ pointerId }) {
    if (pointerId !== this.#pointer) return;
    this.#release();
    this.#flush();
  }

  #release() {
    this.#pointer = null;
    this.#section.classList.remove("dragging");
  }

  #press(event) {
    const step = KEYS[event.key];
    if (!step || event.ctrlKey || event.altKey || event.metaKey) return;
    event.preventDefault();
    if (this.#pointer === null) this.step(step);
  }

  #roll(event) {
    if (!this.#live || this.#pointer !== null || event.ctrlKey) return;
    event.preventDefault();
    this.#wheel -= (event.deltaY * (event.deltaMode ? WHEEL_LINE : 1)) / WHEEL_PERCENT;
    const step = Math.trunc(this.#wheel);
    this.#wheel -= step;
    this.step(step);
  }

  step(step) {
    this.#set(clamp(Math.round((this.level + step) * 10) / 10));
  }

  // Our own change: painted now, sent with the next frame.
  #set(level) {
    if (!this.#live || level === this.level) return;
    this.#paint(level);
    this.#unsent = level;
    if (document.hidden) this.#flush();
    else this.#frame ||= requestAnimationFrame(() => this.#pace());
  }

  // A level from the master, which keeps the pace; not against a thumb.
  put(level) {
    if (!this.#live || this.#pointer !== null || level === this.level) return;
    this.#paint(level);
    this.#unsent = level;
    this.#flush();
  }

  #pace() {
    const late = performance.now() - this.#sent >= (this.#on.every ?? 0);
    if (late) this.#flush();
    else this.#frame = requestAnimationFrame(() => this.#pace());
  }

  #flush() {
    cancelAnimationFrame(this.#frame);
    this.#frame = 0;
    const level = this.#unsent;
    this.#unsent = undefined;
    if (level !== undefined && level !== this.#known) {
      this.#known = level;
      this.#sent = performance.now();
      this.#held = undefined; // older than what is sent now
      this.#on.send(level);
    }
    this.#settle();
  }

  #settle() {
    if (this.#held === undefined || this.#unsent !== undefined || this.#pointer !== null) return;
    this.#known = this.#held;
    this.#held = undefined;
    this.#paint(this.#known);
  }

  #paint(level) {
    this.level = level;
    this.#on.show(level);
  }
}

// A browser complains of a tick before the first touch of the page has ended.
function tick(before, after) {
  const passed = (notch) => before !== notch && (before - notch) * (after - notch) <= 0;
  if (NOTCHES.some(passed) && navigator.userActivation?.hasBeenActive) navigator.vibrate?.(TICK);
}

const REPEAT_AFTER = 400, REPEAT_EVERY = 80; // ms

// Calls `step` for a press, and again and again while the button is held. While `busy` says that the last
// step has no answer yet it slows down, or on a slow network nothing would be painted before the release.
export function holdable(button, step, busy) {
  let timer;
  let skipped = 0;
  const stop = () => clearTimeout(timer);
  const repeat = () => {
    if (button.disabled) return;
    timer = setTimeout(repeat, REPEAT_EVERY);
    if (busy() && ++skipped < 4) return;
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
