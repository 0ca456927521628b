// The page as an app on the home screen opens where the network does not lead to the service, too: with the page and the
// files that `offline.js` and this have kept. All else goes over the network.

/** The cache of both. */
const KEPT = "page";
/** How long the network may take for the page itself, in milliseconds. */
const PATIENCE = 3000;

/** @typedef {Event & { request: Request, respondWith(answer: Promise<Response>): void }} FetchEvent */

/** The page of this version, if the service can be reached.
 * @param {Request} request */
async function page(request) {
  try {
    return await fetch(request, { signal: AbortSignal.timeout(PATIENCE) });
  } catch (error) {
    const kept = await caches.match(request, { ignoreSearch: true });
    if (kept) return kept;
    throw error;
  }
}

/** A file, which never changes under its path.
 * @param {Request} request */
async function file(request) {
  const cache = await caches.open(KEPT);
  const kept = await cache.match(request);
  if (kept) return kept;
  const response = await fetch(request);
  if (response.ok) await cache.put(request, response.clone());
  return response;
}

addEventListener("fetch", (unknown) => {
  const event = /** @type {FetchEvent} */ (unknown);
  const { request } = event;
  const here = new URL("./", location.href).pathname;
  const { pathname } = new URL(request.url);
  if (request.mode === "navigate" && pathname === here) event.respondWith(page(request));
  else if (pathname.startsWith(`${here}assets/`)) event.respondWith(file(request));
});
