// Loaded only where there is a password: when the service asks for the password again, goes to the login. The
// socket cannot tell why it was refused.

setInterval(async () => {
  if (document.documentElement.dataset.connection === "live") return;
  const answer = await fetch("api/health", { cache: "no-store" }).catch(() => null);
  if (answer?.status === 401) location.reload();
}, 2000);
