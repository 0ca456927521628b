// The slider of all lights together: shows the highest level, and scales all levels from what they were when the
// gesture began, so that the lights return from 0 in their old proportions.

import { Light, write } from "./light.js";
import { words, written } from "../words.js";

const INTERVAL = 33; // ms between sends
const MOST = 32; // lights in a message: with the longest names it has no more than 4 KiB

/** @typedef {import("../connection.js").Change} Change */
/** @typedef {Light & { name: string, send(change: Change): void }} NamedLight a light of a dimmer, not the master */

export class Master {
  #lights;
  #connection;
  /**
   * The lights of the gesture.
   * @type {NamedLight[]}
   */
  #gestureLights = [];
  /**
   * The level of each of these when the gesture began.
   * @type {number[] | null}
   */
  #startLevels = null;
  /**
   * The level that the gesture has set each of these to.
   * @type {number[]}
   */
  #setLevels = [];
  #scaling = false;
  #scales = 0;
  /**
   * The lights that were on when this page switched all off, and how they return.
   * @type {Map<NamedLight, Change> | null}
   */
  #undo = null;
  // All have been off since.
  #areOff = false;
  #word = document.createElement("span");
  #count = document.createElement("span");

  /**
   * @param {() => NamedLight[]} lights returns those that can be reached
   * @param {import("../connection.js").Connection} connection
   */
  constructor(lights, connection) {
    this.#lights = lights;
    this.#connection = connection;
    this.light = new Light({
      send: (change) => this.#change(change),
      start: () => {
        connection.probeInUse();
        this.#begin();
      },
      busy: () => lights().some(({ name }) => connection.isPending(name)),
      changed: () => this.#scaling || this.#summarize(),
      inTurn: showInTurn,
      interval: INTERVAL,
    });
    const { section } = this.light;
    section.classList.add("master");
    section.addEventListener("focusout", ({ relatedTarget }) => {
      if (!(relatedTarget instanceof Node && section.contains(relatedTarget))) this.#startLevels = null;
    });
    const lamp = section.querySelector(".lamp"), svg = section.querySelector(".lamp svg");
    this.#word.className = "word";
    lamp.append(svg.cloneNode(true), svg.cloneNode(true), this.#word);
    this.#count.className = "count";
    section.querySelector(".doing").append(this.#count);
    this.light.label(words.all, true);
  }

  // Called after a light has changed.
  update() {
    if (this.#scaling) return;
    // What it has set itself is no news in a gesture.
    if (!this.light.slider.dragging || this.#areMoved()) this.light.slider.receive(this.#highest());
    this.#summarize();
  }

  // How many lights are on, and what its lamp does.
  #summarize() {
    const { section } = this.light;
    const count = this.#on().length;
    if (count && this.#areOff) this.#undo = null;
    this.#areOff = !count && this.#undo !== null;
    const word = count ? words.allOff : this.#undo ? words.undo : words.allOn;
    write(this.#word, word);
    section.querySelector(".lamp").setAttribute("aria-label", word);
    write(this.#count, count ? words.lightsOn(count, written(this.#highest())) : words.off);
  }

  #on() {
    return this.#lights().filter(({ slider }) => slider.level > 0);
  }

  #highest() {
    return Math.max(0, ...this.#lights().map(({ slider }) => slider.level));
  }

  #begin() {
    this.#gestureLights = this.#lights();
    this.#setLevels = this.#gestureLights.map(({ slider }) => slider.level);
    // From where this page switched them off they return as they were.
    const before = this.#areOff && this.#gestureLights.map((light) => this.#undo?.get(light)?.level ?? 0);
    this.#startLevels = before || this.#setLevels;
    return this.#startLevels;
  }

  /** @param {Change} change */
  #change({ level, step, transition }) {
    if (step) this.light.slider.step(step);
    else together(this.#connection, () => (level === undefined ? this.#toggle() : this.#scale(level, transition)));
  }

  // Switches off what is on, and then what it was on again; without that all.
  #toggle() {
    const on = this.#on();
    if (on.length) {
      this.#remember(on, on.map(({ slider }) => slider.level));
      for (const light of on) light.send({ on: false });
    } else if (this.#undo) {
      const lights = this.#lights();
      for (const [light, { level = 0, effect, speed }] of this.#undo) {
        // One that has gone would have all of them refused.
        if (!lights.includes(light)) continue;
        if (effect) light.send({ effect, speed });
        else set(light, level);
      }
    } else {
      for (const light of this.#lights()) light.send({ on: true });
    }
  }

  /**
   * @param {NamedLight[]} lights
   * @param {number[]} levels
   */
  #remember(lights, levels) {
    this.#undo = new Map();
    lights.forEach((light, n) => {
      const { effect, speed } = light;
      if (levels[n]) this.#undo?.set(light, { level: levels[n], effect, speed });
    });
    this.#areOff = false;
  }

  // Somebody else has set one of the lights since.
  #areMoved() {
    return this.#gestureLights.some(({ slider }, n) => slider.level !== this.#setLevels[n]);
  }

  /**
   * @param {number} level
   * @param {number} [transition]
   */
  #scale(level, transition) {
    // Somebody else's change ends a gesture of keys and wheel, which has no other end.
    if (!this.light.slider.dragging && this.#areMoved()) this.#startLevels = null;
    const from = this.#startLevels ?? this.#begin();
    this.#setLevels = scaled(from, level);
    if (!level) this.#remember(this.#gestureLights, from);
    this.#scaling = true;
    this.#gestureLights.forEach((light, n) => set(light, this.#setLevels[n], transition));
    this.#scaling = false;
    // To lay out the text takes as long as to move eight lights; the last turn in the end writes it, too.
    if (!level || this.#scales++ % 2) this.#summarize();
  }
}

/**
 * @param {NamedLight} light
 * @param {number} level
 * @param {number} [transition]
 */
function set({ slider }, level, transition) {
  if (slider.setByMaster(level, transition)) showInTurn(slider.turn);
}

/**
 * Sends the changes that `task` makes in one message; a level alone is a number there.
 * @param {import("../connection.js").Connection} connection
 * @param {() => void} task
 */
export function together(connection, task) {
  const gathered = (connection.gathered = new Map());
  task();
  connection.gathered = null;
  const changes = [...gathered];
  if (changes.length === 1) return connection.change(changes[0][0], changes[0][1]);
  const short = changes.map(([light, { level, ...others }]) => {
    const isLevel = level !== undefined && !Object.keys(others).length;
    return /** @type {[string, Change | number]} */ ([light, isLevel ? level : { level, ...others }]);
  });
  while (short.length) connection.changeAll(short.splice(0, MOST));
}

/**
 * The levels in their proportions, with the highest at `level`; if all are 0, each at `level`. Rounded to 0.1.
 * @param {number[]} levels
 * @param {number} level
 */
export function scaled(levels, level) {
  const highest = Math.max(0, ...levels);
  return levels.map((each) => (highest ? Math.round((each * level * 10) / highest) / 10 : level));
}

// What the master changes is shown in turns, a little in each frame, or a phone would drop the next ones: where the
// grips are, then what has to be laid out; and when all have come to rest, what none sees.
const MOVES = 8, SHOWS = 1; // in a frame
/** @typedef {import("./slider.js").Turn} Turn */
/** @type {Set<Turn>[]} */
const [moving, passing, passed] = [new Set(), new Set(), new Set()];
const areDone = () => !moving.size && !passing.size && !passed.size;

/** @param {Turn} turn */
export function showInTurn(turn) {
  if (areDone()) requestAnimationFrame(takeTurns);
  moving.add(turn);
  passing.add(turn);
}

function takeTurns() {
  const moves = first(MOVES, moving);
  for (const turn of moves) turn.move();
  const isPassing = passing.size > 0;
  // The last of the moves come in the frame in which the master sends again.
  const isFree = moving.size > 0 || !moves.length;
  for (const turn of isFree ? first(SHOWS, isPassing ? passing : passed) : []) {
    if (isPassing) passed.add(turn);
    turn.show(isPassing);
  }
  // Nothing glides up to the last turn: a browser takes more than twice the time for the style of an element that has
  // once had a transition.
  if (!areDone()) requestAnimationFrame(takeTurns);
  else if (!document.querySelector(".dragging")) delete document.documentElement.dataset.dragging;
}

/**
 * Takes so many from the turns.
 * @param {number} count
 * @param {Set<Turn>} turns
 */
function first(count, turns) {
  const taken = [...turns].slice(0, count);
  for (const turn of taken) turns.delete(turn);
  return taken;
}
