// The frame of every page: dialogs, menus that close, notices that go away, the theme without a reload, htmx's token.

const root = document.documentElement;
const token = document.querySelector('meta[name="csrf-token"]')?.content ?? "";

// newer browsers open and close dialogs by themselves (command, commandfor)
const commands = "commandForElement" in HTMLButtonElement.prototype;

document.addEventListener("click", (event) => {
  if (!commands) {
    const opener = event.target.closest("[data-opens]");
    if (opener) document.getElementById(opener.dataset.opens)?.showModal();
    event.target.closest("[data-dismisses]")?.closest("dialog")?.close();
  }
  event.target.closest("[data-removes]")?.closest(".ui-toast")?.remove();
  if (event.target.closest("[data-goes-back]")) window.history.back();
  const copier = event.target.closest("[data-copies]");
  if (copier) navigator.clipboard?.writeText(copier.dataset.copies).then(() => copier.classList.add("is-done"));
  if (event.target instanceof HTMLDialogElement) event.target.close(); // the scrim
  for (const menu of document.querySelectorAll("details[data-closes][open]")) {
    if (!menu.contains(event.target)) menu.open = false;
  }
});

document.addEventListener("keydown", (event) => {
  if (event.key !== "Escape") return;
  for (const menu of document.querySelectorAll("details[data-closes][open]")) {
    menu.open = false;
    menu.querySelector("summary")?.focus();
  }
});

// a form that was sent isn't sent twice by an impatient second click
document.addEventListener("submit", (event) => {
  const form = event.target;
  if (form.method !== "post" || form.hasAttribute("data-repeatable") || event.defaultPrevented) return;
  if (form.dataset.sent) event.preventDefault();
  form.dataset.sent = "1";
});
window.addEventListener("pageshow", () => {
  for (const form of document.querySelectorAll("form[data-sent]")) delete form.dataset.sent;
});

// the theme changes at once; the choice is kept by the server
document.addEventListener("submit", async (event) => {
  const form = event.target.closest("form[data-theme-form]");
  if (!form || !event.submitter) return;
  event.preventDefault();
  delete form.dataset.sent;
  root.dataset.themeChoice = event.submitter.value;
  const dark = window.matchMedia("(prefers-color-scheme: dark)").matches;
  root.dataset.bsTheme = event.submitter.value === "auto" ? (dark ? "dark" : "light") : event.submitter.value;
  for (const button of form.querySelectorAll("button")) {
    button.setAttribute("aria-pressed", String(button === event.submitter));
  }
  const body = new FormData(form);
  body.set("theme", event.submitter.value);
  await fetch(form.action, { method: "POST", body, headers: { Accept: "application/json" } });
});

document.addEventListener("htmx:configRequest", (event) => {
  event.detail.headers["X-CSRFToken"] = token;
});
// an error answer is a fragment that says what happened: show it where the answer would have gone
document.addEventListener("htmx:beforeSwap", (event) => {
  if (event.detail.xhr.status >= 400) event.detail.shouldSwap = true;
});

for (const element of document.querySelectorAll("[data-goes-back], [data-copies]")) element.hidden = false;
