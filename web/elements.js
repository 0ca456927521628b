// How the parts that are loaded later make their elements.

/**
 * @param {string} className
 * @param {string} text
 * @param {string} [label] for screen readers, where the text does not say it
 */
export function button(className, text, label = "") {
  const button = document.createElement("button");
  button.type = "button";
  button.className = className;
  button.textContent = text;
  if (label) button.setAttribute("aria-label", label);
  return button;
}

/**
 * Gives the list an element for each item, and keeps the elements of items that it has already. Where the focus was
 * in an element that is removed, it moves to the one in its place, or else to `fallback`.
 * @template T
 * @param {HTMLElement} list
 * @param {T[]} items
 * @param {(item: T) => string} key
 * @param {(item: T) => HTMLElement} make
 * @param {HTMLElement} fallback
 */
export function fill(list, items, key, make, fallback) {
  const present = [...list.querySelectorAll("li")];
  const known = new Map(present.map((child) => [child.dataset.key, child]));
  const children = items.map((item) => {
    const child = known.get(key(item)) ?? make(item);
    child.dataset.key = key(item);
    return child;
  });
  if (children.length === present.length && children.every((child, n) => child === present[n])) return;
  const focused = document.activeElement;
  const place = present.findIndex((child) => child.contains(focused));
  list.replaceChildren(...children);
  if (place < 0 || !(focused instanceof HTMLElement)) return;
  const near = children[Math.min(place, children.length - 1)]?.querySelector("button");
  (list.contains(focused) ? focused : near ?? fallback).focus();
}

/**
 * Resolves once the style sheet is loaded.
 * @param {string} path below this folder
 */
export function loadStyle(path) {
  const href = new URL(path, import.meta.url).href;
  const link = Object.assign(document.createElement("link"), { rel: "stylesheet", href });
  return new Promise((resolve, reject) => {
    link.onload = resolve;
    link.onerror = reject;
    document.head.append(link);
  });
}
