// Only where there is a password: once it is asked for again, goes where it is asked for. The socket
// itself cannot tell why it was refused.

setInterval(async () => {
  if (document.documentElement.dataset.connection === "live") return;
  const answer = await fetch("api/health", { cache: "no-store" }).catch(() => null);
  if (answer?.status === 401) location.reload();
}, 2000);
