// Shows the password while it is typed, if somebody asks for that. Without this script the login does all else.

const show = document.querySelector("#show"), password = document.querySelector("#password");

show.hidden = false;
show.addEventListener("click", () => {
  const shown = password.type === "password";
  password.type = shown ? "text" : "password";
  show.setAttribute("aria-pressed", `${shown}`);
  password.focus();
});
// A browser that keeps passwords looks for a field of that type.
show.form?.addEventListener("submit", () => (password.type = "password"));
