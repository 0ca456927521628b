// What the parts of the sheet make their elements with.

export function button(className, text, label = "") {
  const button = document.createElement("button");
  button.type = "button";
  button.className = className;
  button.textContent = text;
  if (label) button.setAttribute("aria-label", label);
  return button;
}

// Gives the list an element for each item, and keeps those that it has. Where the focus was in one that
// went, it goes to the one in its place, or else to `otherwise`.
export function fill(list, items, key, make, otherwise) {
  const known = new Map([...list.children].map((child) => [child.dataset.key, child]));
  const children = items.map((item) => {
    const child = known.get(key(item)) ?? make(item);
    child.dataset.key = key(item);
    return child;
  });
  if (children.length === list.children.length && children.every((child, n) => child === list.children[n])) return;
  const focused = document.activeElement;
  const place = [...list.children].findIndex((child) => child.contains(focused));
  list.replaceChildren(...children);
  if (place < 0) return;
  const near = children[Math.min(place, children.length - 1)]?.querySelector("button");
  (list.contains(focused) ? focused : near ?? otherwise).focus();
}
