// Follows the service after an upgrade: reloads the page when nobody is touching it. Until then the old page goes on, as
// messages stay compatible.

const IDLE = 10000; // ms without a touch
// The folder of this version's files, which the page of any other version does not name.
const folder = import.meta.url.split("/").slice(-3, -1).join("/");

let touched = -IDLE;
let held = false;
/** @type {ReturnType<typeof setTimeout> | undefined} */
let timer;

for (const kind of ["pointerdown", "pointerup", "pointercancel", "keydown", "input", "wheel"])
  addEventListener(kind, ({ type }) => {
    touched = performance.now();
    if (type.startsWith("pointer")) held = type === "pointerdown";
  }, { capture: true, passive: true });

/** To be called when the page has connected again. */
export async function follow() {
  clearTimeout(timer);
  timer = undefined;
  if (!(await isOutdated())) return;
  const left = document.hidden ? 0 : touched + IDLE - performance.now();
  // What somebody has begun to write in the sheet would be lost.
  const busy = held || document.querySelector("dialog[open]");
  if (busy || left > 0) timer = setTimeout(follow, Math.max(left, 1000));
  else if (isFirstTry()) location.reload();
}

async function isOutdated() {
  const answer = await fetch(".", { cache: "no-store" }).catch(() => null);
  const page = answer?.ok && !answer.redirected && (await answer.text().catch(() => ""));
  return !!page && !page.includes(`${folder}/`);
}

// A cache in between may give the old page again and again.
function isFirstTry() {
  try {
    if (sessionStorage.outdated === folder) return false;
    sessionStorage.outdated = folder;
    return true;
  } catch {
    return false;
  }
}

document.addEventListener("visibilitychange", () => {
  if (timer && document.hidden) follow();
});
