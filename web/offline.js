// Where the page is an app on the home screen: keeps it, so that it opens without the network, too. Browsers allow that
// only over https, with a certificate that they trust, or on the machine itself.

/** The cache, from which `worker.js` answers. */
const KEPT = "page";

/** Keeps the page and what it has loaded by now, and forgets the files of other versions. */
export async function keep() {
  const page = new URL("./", location.href);
  const version = new URL("./", import.meta.url).href;
  await navigator.serviceWorker.register(new URL("worker.js", page));
  const loaded = performance.getEntriesByType("resource").map(({ name }) => name);
  const files = loaded.filter((file) => file.startsWith(version));
  const cache = await caches.open(KEPT);
  await cache.addAll([page.href, ...new Set(files)]);
  for (const { url } of await cache.keys()) {
    if (url !== page.href && !url.startsWith(version)) await cache.delete(url);
  }
}
