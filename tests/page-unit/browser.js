// A stand-in for the parts of a browser that the modules use: a clock that the tests move, frames, sockets, events.
// It knows nothing of dimmer. The modules find it in the global variables, where a browser has its own.

import { setMaxListeners } from "node:events";

const FRAME = 16; // ms

export class FakeBrowser {
  now = 0;
  /** The sockets in the order of their opening. */
  sockets = [];
  /** Method and path of each request. */
  requests = [];
  /** Status and body of each answer. */
  answer = null;
  reloads = 0;
  /** What `Math.random` returns. */
  random = 0.5;
  /** Durations of vibrations, in ms. */
  vibrations = [];
  #tasks = new Map();
  #nextId = 1;

  /** Takes the place of the browser before, if there was one. */
  constructor() {
    const browser = this;
    const window = new EventTarget();
    this.document = Object.assign(new EventTarget(), {
      hidden: false,
      baseURI: "http://pi.local:5000/",
      querySelector: () => null,
      documentElement: { scrollHeight: 800, clientHeight: 800, dataset: {} },
    });
    // Each slider listens to the document.
    setMaxListeners(0, this.document);
    const globals = {
      document: this.document,
      addEventListener: window.addEventListener.bind(window),
      navigator: {
        languages: ["en"],
        onLine: true,
        userActivation: { hasBeenActive: true },
        vibrate: (ms) => this.vibrations.push(ms),
      },
      performance: { now: () => this.now },
      location: { reload: () => this.reloads++ },
      // Answered at once by `answer`; without one, nothing is reached.
      fetch: async (path, options) => {
        this.requests.push(`${options?.method ?? "GET"} ${path}`);
        if (!this.answer) throw new TypeError("not reached");
        const { status, body } = this.answer;
        return { ok: status < 300, status, json: async () => body };
      },
      setTimeout: (task, after = 0) => this.#add(this.now + after, task, false),
      clearTimeout: (id) => this.#tasks.delete(id),
      requestAnimationFrame: (task) => this.#add((Math.floor(this.now / FRAME) + 1) * FRAME, task, true),
      cancelAnimationFrame: (id) => this.#tasks.delete(id),
      WebSocket: class {
        sent = [];
        closed = false;
        onmessage = null;
        onclose = null;

        constructor(url) {
          this.url = String(url);
          browser.sockets.push(this);
        }

        send(text) {
          this.sent.push(JSON.parse(text));
        }

        close() {
          this.closed = true;
        }

        /** The service sends these messages. */
        receive(...messages) {
          for (const message of messages) this.onmessage?.({ data: JSON.stringify(message) });
        }

        /** The connection breaks. */
        lose() {
          this.onclose?.({});
        }

        /** What was sent since this was asked last. */
        taken() {
          return this.sent.splice(0);
        }
      },
    };
    for (const [name, value] of Object.entries(globals))
      Object.defineProperty(globalThis, name, { value, configurable: true, writable: true });
    Math.random = () => this.random;
    this.window = window;
  }

  get socket() {
    return this.sockets.at(-1);
  }

  /** Lets this many ms pass, and does what is due in them in its order. */
  advance(ms) {
    const end = this.now + ms;
    for (;;) {
      // A hidden page gets no frames.
      const due = [...this.#tasks].filter(([, { at, frame }]) => at <= end && !(frame && this.document.hidden));
      if (!due.length) break;
      const [id, { at, task }] = due.reduce((first, other) => (other[1].at < first[1].at ? other : first));
      this.#tasks.delete(id);
      this.now = Math.max(this.now, at);
      task();
    }
    this.now = end;
  }

  /** To the end of the next frame. */
  frame() {
    this.advance(FRAME - (this.now % FRAME));
  }

  /** How many timeouts and frames are to come. */
  get pending() {
    return this.#tasks.size;
  }

  setHidden(hidden) {
    this.document.hidden = hidden;
    this.document.dispatchEvent(new Event("visibilitychange"));
  }

  #add(at, task, frame) {
    const id = this.#nextId++;
    this.#tasks.set(id, { at, task, frame });
    return id;
  }
}

/** An element with the children that `querySelector` finds, by their selectors. */
export class FakeElement extends EventTarget {
  classes = new Set();
  classList = {
    add: (name) => this.classes.add(name),
    remove: (name) => this.classes.delete(name),
    toggle: (name, is) => (is ? this.classes.add(name) : this.classes.delete(name)),
  };
  focused = false;
  captured = null;
  box = { left: 0, top: 0, right: 100, bottom: 100 };
  dataset = {};
  attributes = {};
  style = { setProperty: () => {} };

  constructor(properties = {}, children = {}) {
    super();
    Object.assign(this, properties);
    this.querySelector = (selector) => children[selector] ?? null;
  }

  focus() {
    this.focused = true;
  }

  setAttribute(name, value) {
    this.attributes[name] = value;
  }

  getAttribute(name) {
    return this.attributes[name] ?? null;
  }

  append(...elements) {
    this.appended = elements;
  }

  cloneNode() {
    return this;
  }

  getBoundingClientRect() {
    return this.box;
  }

  setPointerCapture(id) {
    this.captured = id;
  }

  /** Dispatches an event, and says whether its default was prevented. */
  fire(type, properties = {}) {
    const event = Object.assign(new Event(type, { cancelable: true }), properties);
    this.dispatchEvent(event);
    return event.defaultPrevented;
  }
}
