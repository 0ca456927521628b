// The WebSocket to the service. Keeps one open, numbers every change that it sends (`seq`), and drops each
// level that the service sent before it had handled this page's last change of that light (`seen`).
// docs/wire.md has the messages and the rule.

/**
 * One of `level`, `step`, `on`, `toggle` and `effect`, with what belongs to it.
 * @typedef {{ level?: number, step?: number, on?: boolean, toggle?: true, effect?: string | null, speed?: number,
 *   transition?: number }} Change
 */
/** @typedef {{ name: string, title?: string, hidden: boolean, simulated: boolean, warmth?: string, transition?: number,
 *   fastest?: number, new?: true }} LightInfo */
/** @typedef {{ version: string, lights: LightInfo[], session?: true, matter?: true, title?: string | null }} Hello */
/**
 * `title` and `online` are there for the lights of other dimmers alone, `gone` for one of these that is removed.
 * @typedef {{ light: string, level: number, effect?: string, speed?: number, left?: number, seen?: number,
 *   by?: string, via?: string, title?: string, online?: boolean, gone?: true }} LightMessage
 */
/** @typedef {{ name: string, light?: string, at?: string, offset?: number, days?: string[], level?: number,
 *   on?: boolean, effect?: string, speed?: number, recall?: string, transition?: number,
 *   next?: string, waiting?: string }} TimerInfo */
/** @typedef {{ at: number, who?: string, via?: string, what: string, light?: string, level?: number,
 *   lights?: Record<string, number>, effect?: string | null, preset?: string, timer?: string, text?: string,
 *   count?: number }} ActivityEntry */
/** @typedef {"connecting" | "live" | "reconnecting"} State */
/**
 * Why there is no connection: a code of the service's refusal, or what the page finds out by itself.
 * @typedef {"host" | "origin" | "max_pages" | "max_pages_per_address" | "upgrade" | "stopped" | "unreachable"
 *   | "offline"} Reason
 */
/**
 * Called with each message of its kind; a kind without a handler is ignored. What comes about lights in one message,
 * `lights` is called with at once.
 * @typedef {{ state(state: State): void, hello(hello: Hello): void, lights(messages: LightMessage[]): void,
 *   refused?(reason: Reason): void,
 *   presets?(names: string[]): void, timers?(timers: TimerInfo[]): void, here?(names: string[]): void,
 *   activity?(entries: ActivityEntry[]): void, pages?(count: number): void,
 *   described?(light: LightInfo): void, title?(title: string | null): void,
 *   fault?(fault: { light: string, message: string | null }): void, error?(message: string): void }} Handlers
 */

const RETRY_FIRST = 250, RETRY_MAX = 5000, RETRY_MIN = 100; // ms
const HELLO_TIMEOUT = 5000, PROBE_TIMEOUT = 4000; // ms
// ms of silence after which the socket is probed; the second while somebody uses the page.
const PROBE_AFTER = 15000, PROBE_AFTER_IN_USE = 3000;
const GRACE = 500; // ms after a wake-up in which the page stays live without a socket
const SAME_WAKE = 250; // ms in which several wake-up events count as one
// Failures in a row before the page says that the service does not answer, or that a proxy is in the way: a restart of
// the service takes less.
const PATIENCE = 3;
const GOING_AWAY = 1001; // the code of a close: the service stops

export class Connection {
  /** @type {State} */
  state = "connecting";
  /** @type {Handlers & Record<string, ((news: any) => void) | undefined>} */
  #on;
  /** @type {WebSocket | null} */
  #socket = null;
  /**
   * The hello of this socket, until the first level arrives.
   * @type {Hello | null}
   */
  #hello = null;
  // The hello of this socket has been handled.
  #ready = false;
  #openedAt = 0;
  #receivedAt = 0;
  #failures = 0;
  // The service has said that it stops.
  #stopped = false;
  #explaining = false;
  #seq = 0;
  #seen = 0;
  /**
   * Light → `seq` of this page's last change of that light.
   * @type {Map<string, number>}
   */
  #lastSeq = new Map();
  /**
   * Where changes go that are to be sent together.
   * @type {Map<string, Change> | null}
   */
  gathered = null;
  /**
   * Changes made in the grace period.
   * @type {[light: string, change: Change][]}
   */
  #queued = [];
  /**
   * Who waits until the service has handled what was sent.
   * @type {(() => void)[]}
   */
  #waiting = [];
  /** @type {Record<string, ReturnType<typeof setTimeout> | undefined>} */
  #timers = {};

  /** @param {Handlers} on */
  constructor(on) {
    this.#on = on;
    document.addEventListener("visibilitychange", () => (document.hidden ? this.#sleep() : this.#wake()));
    addEventListener("pageshow", (event) => event.persisted && this.#wake());
    addEventListener("online", () => this.#wake());
    this.#open();
  }

  /**
   * Sends a change of a light under the next `seq`.
   * @param {string} light
   * @param {Change} change
   */
  change(light, change) {
    if (!this.#ready) {
      if (this.#timers.grace) this.#queued.push([light, change]);
      return;
    }
    if (this.gathered) return void this.gathered.set(light, change);
    this.#lastSeq.set(light, ++this.#seq);
    this.send({ ...change, light, seq: this.#seq });
  }

  /**
   * Sends changes of several lights under one `seq`.
   * @param {[light: string, change: Change | number][]} changes
   */
  changeAll(changes) {
    this.#seq++;
    for (const [light] of changes) this.#lastSeq.set(light, this.#seq);
    this.send({ lights: Object.fromEntries(changes), seq: this.#seq });
  }

  /**
   * Sends a message as it is. Without a connection it is dropped.
   * @param {object} message
   */
  send(message) {
    if (!this.#ready) return;
    this.probeInUse();
    this.#socket?.send(JSON.stringify(message));
  }

  /**
   * Ends when the service has handled what was sent before, or never will, as the connection has ended.
   * @returns {Promise<void>}
   */
  handled() {
    if (!this.#ready) return Promise.resolve();
    this.#socket?.send('{"echo":"handled"}');
    return new Promise((resolve) => this.#waiting.push(resolve));
  }

  /**
   * Whether the service has not handled this page's last change of the light yet.
   * @param {string} light
   */
  isPending(light) {
    return this.#seen < (this.#lastSeq.get(light) ?? 0);
  }

  // Somebody touches the page: find out soon if the socket is dead.
  probeInUse() {
    const silence = performance.now() - this.#receivedAt;
    if (this.#ready && !document.hidden && silence > PROBE_AFTER_IN_USE) this.#probe();
  }

  #open() {
    this.#close();
    this.#openedAt = performance.now();
    const address = new URL("ws", document.baseURI);
    address.protocol = address.protocol.replace("http", "ws");
    this.#socket = new WebSocket(address);
    this.#socket.onmessage = ({ data }) => this.#receive(JSON.parse(data));
    this.#socket.onclose = ({ code }) => {
      if (code === GOING_AWAY) this.#stopped = true;
      this.#retry();
    };
    this.#timer("deadline", HELLO_TIMEOUT, () => this.#retry());
  }

  // The handlers are removed first: a dead socket's close event may come minutes later.
  #close() {
    if (this.#socket) {
      this.#socket.onmessage = this.#socket.onclose = null;
      this.#socket.close();
    }
    this.#socket = null;
    this.#hello = null;
    this.#ready = false;
    this.#seq = this.#seen = 0;
    this.#lastSeq.clear();
    for (const resolve of this.#waiting.splice(0)) resolve();
    for (const name of ["retry", "deadline", "quiet"]) this.#timer(name);
  }

  // Exponential backoff with full jitter, so that the pages do not all return at once after a restart.
  #retry() {
    this.#close();
    if (!this.#timers.grace) this.#goOffline();
    const limit = Math.min(RETRY_FIRST * 2 ** this.#failures++, RETRY_MAX);
    this.#timer("retry", Math.max(RETRY_MIN, Math.random() * limit), () => this.#open());
    this.#explain();
  }

  // A browser does not say why a WebSocket was refused, so the service is asked by a request that is refused like it.
  async #explain() {
    if (this.#explaining) return;
    this.#explaining = true;
    const answer = await fetch("ws", { method: "POST", cache: "no-store" }).catch(() => null);
    const { code = "" } = (answer && !answer.ok && (await answer.json().catch(() => null))) || {};
    this.#explaining = false;
    if (this.#ready) return;
    // Leads to the login.
    if (code === "password") location.reload();
    else if (code) this.#on.refused?.(code);
    else if (navigator.onLine === false && !this.#stopped) this.#on.refused?.("offline");
    else if (this.#failures < PATIENCE) return;
    else if (answer?.ok) this.#on.refused?.("upgrade");
    else this.#on.refused?.(this.#stopped ? "stopped" : "unreachable");
  }

  #goOffline() {
    this.#timer("grace");
    this.#queued = [];
    if (this.state === "live") this.#setState("reconnecting");
  }

  // After sleep, iOS keeps sockets that say OPEN and are dead, so no socket is trusted after one.
  #wake() {
    // pageshow, online and visibilitychange come together.
    if (this.#socket && !this.#ready && performance.now() - this.#openedAt < SAME_WAKE) return;
    this.#failures = 0;
    if (this.state === "live" && !this.#timers.grace) this.#timer("grace", GRACE, () => this.#goOffline());
    this.#open();
  }

  #sleep() {
    this.#timer("quiet");
    if (this.#ready) this.#timer("deadline");
  }

  #probe() {
    if (this.#timers.deadline) return;
    this.#socket?.send('{"echo":"alive"}');
    this.#timer("deadline", PROBE_TIMEOUT, () => {
      this.#goOffline();
      this.#open();
    });
  }

  /** @param {any} message */
  #receive(message) {
    this.#receivedAt = performance.now();
    this.#timer("deadline");
    if (!document.hidden) this.#timer("quiet", PROBE_AFTER, () => this.#probe());

    // The first level comes right after the hello, but a frame could be painted between the two.
    if (message.hello) {
      this.#hello = message.hello;
      return;
    }
    if (this.#hello) this.#goLive(this.#hello);
    if (message.echo === "handled") this.#waiting.shift()?.();
    const lights = "level" in message ? [message] : message.lights ?? message.fleet;
    if (lights) this.#receiveLights(lights, message.seen);
    else for (const kind in message) this.#on[kind]?.(message[kind]);
  }

  /** @param {Hello} hello */
  #goLive(hello) {
    this.#hello = null;
    this.#stopped = false;
    this.#ready = true;
    this.#failures = 0;
    this.#timer("grace");
    this.send({ batch: true });
    this.#on.hello(hello);
    this.#setState("live");
    for (const [light, change] of this.#queued.splice(0)) this.change(light, change);
  }

  /**
   * @param {LightMessage[]} lights
   * @param {number} [seen]
   */
  #receiveLights(lights, seen = 0) {
    this.#seen = Math.max(this.#seen, seen);
    this.#on.lights(lights.filter(({ light, gone }) => gone || !this.isPending(light)));
  }

  /** @param {State} state */
  #setState(state) {
    this.state = state;
    this.#on.state(state);
  }

  /**
   * Starts the timer of this name in place of the one that runs; without a task only stops that.
   * @param {string} name
   * @param {number} [after] in ms
   * @param {() => void} [task]
   */
  #timer(name, after, task) {
    clearTimeout(this.#timers[name]);
    this.#timers[name] = task && setTimeout(() => {
      this.#timers[name] = undefined;
      task();
    }, after);
  }
}
