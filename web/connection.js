// The socket to the service. Keeps one open, numbers every change it sends, and drops each level that
// the service sent before it had seen our last change of that light.

const RETRY_FIRST = 250, RETRY_MOST = 5000, RETRY_LEAST = 100; // ms
const HELLO_WITHIN = 5000, ANSWER_WITHIN = 4000;
const QUIET = 15000, QUIET_IN_USE = 3000; // silence after which the socket has to prove itself
const GRACE = 500; // after a wake-up the page stays live this long without a socket

export class Connection {
  state = "connecting";
  #on;
  #socket = null;
  #hello = null; // of this socket, while it waits for the first level
  #ready = false; // this socket has had its hello
  #opened = 0;
  #heard = 0;
  #failures = 0;
  #seq = 0;
  #seen = 0;
  #sent = new Map(); // light → seq of our last change of it
  #waiting = []; // changes made in the grace period
  #timers = {};

  // `on` has a function for each: state, hello, light, and for each other kind of message that it takes.
  constructor(on) {
    this.#on = on;
    document.addEventListener("visibilitychange", () => (document.hidden ? this.#sleep() : this.#wake()));
    addEventListener("pageshow", (event) => event.persisted && this.#wake());
    addEventListener("online", () => this.#wake());
    this.#open();
  }

  send(light, change) {
    if (!this.#ready) {
      if (this.#timers.grace) this.#waiting.push([light, change]);
      return;
    }
    this.inUse();
    this.#sent.set(light, ++this.#seq);
    this.#socket.send(JSON.stringify({ ...change, light, seq: this.#seq }));
  }

  // What is about no light alone.
  tell(message) {
    if (!this.#ready) return;
    this.inUse();
    this.#socket.send(JSON.stringify(message));
  }

  // Whether a change of this light is still on its way.
  unseen(light) {
    return this.#seen < (this.#sent.get(light) ?? 0);
  }

  // Somebody touches the page: find out soon if the socket is dead.
  inUse() {
    if (this.#ready && !document.hidden && performance.now() - this.#heard > QUIET_IN_USE) this.#probe();
  }

  #open() {
    this.#drop();
    this.#opened = performance.now();
    const address = new URL("ws", document.baseURI);
    address.protocol = address.protocol.replace("http", "ws");
    this.#socket = new WebSocket(address);
    this.#socket.onmessage = ({ data }) => this.#hear(JSON.parse(data));
    this.#socket.onclose = () => this.#lost();
    this.#timer("deadline", HELLO_WITHIN, () => this.#lost());
  }

  // Detached first: a dead socket's close event may come minutes later.
  #drop() {
    if (this.#socket) {
      this.#socket.onmessage = this.#socket.onclose = null;
      this.#socket.close();
    }
    this.#socket = null;
    this.#hello = null;
    this.#ready = false;
    this.#seq = this.#seen = 0;
    this.#sent.clear();
    for (const name of ["retry", "deadline", "quiet"]) this.#timer(name);
  }

  #lost() {
    this.#drop();
    if (!this.#timers.grace) this.#down();
    const most = Math.min(RETRY_FIRST * 2 ** this.#failures++, RETRY_MOST);
    this.#timer("retry", Math.max(RETRY_LEAST, Math.random() * most), () => this.#open());
  }

  #down() {
    this.#timer("grace");
    this.#waiting = [];
    if (this.state === "live") this.#become("reconnecting");
  }

  // iOS keeps sockets over a sleep that say OPEN and are dead, so none is trusted after one.
  #wake() {
    // pageshow, online and visibilitychange come together.
    if (this.#socket && !this.#ready && performance.now() - this.#opened < 250) return;
    this.#failures = 0;
    if (this.state === "live" && !this.#timers.grace) this.#timer("grace", GRACE, () => this.#down());
    this.#open();
  }

  #sleep() {
    this.#timer("quiet");
    if (this.#ready) this.#timer("deadline");
  }

  #probe() {
    if (this.#timers.deadline) return;
    this.#socket.send('{"echo":"alive"}');
    this.#timer("deadline", ANSWER_WITHIN, () => {
      this.#down();
      this.#open();
    });
  }

  #hear(message) {
    this.#heard = performance.now();
    this.#timer("deadline");
    if (!document.hidden) this.#timer("quiet", QUIET, () => this.#probe());

    // The first level comes with the hello, but a frame could be painted between the two.
    if (message.hello) {
      this.#hello = message.hello;
      return;
    }
    if (this.#hello) this.#greet();
    if ("level" in message) this.#follow(message);
    else for (const kind in message) this.#on[kind]?.(message[kind]);
  }

  #greet() {
    const hello = this.#hello;
    this.#hello = null;
    this.#ready = true;
    this.#failures = 0;
    this.#timer("grace");
    this.#on.hello(hello);
    this.#become("live");
    for (const [light, change] of this.#waiting.splice(0)) this.send(light, change);
  }

  #follow(message) {
    this.#seen = Math.max(this.#seen, message.seen ?? 0);
    if (!this.unseen(message.light)) this.#on.light(message);
  }

  #become(state) {
    this.state = state;
    this.#on.state(state);
  }

  // One timer of each name; without a task it is only stopped.
  #timer(name, after, task) {
    clearTimeout(this.#timers[name]);
    this.#timers[name] = task && setTimeout(() => {
      this.#timers[name] = undefined;
      task();
    }, after);
  }
}
