// Saying something without leaving the page.

/** Say something to people who listen instead of look. */
export function announce(text) {
  const place = document.getElementById("announce");
  if (place && text && place.textContent !== text) place.textContent = text;
}

/** Show a short notice in the corner; `tone` is ok, info, warn or bad. */
export function toast(text, tone = "info") {
  let place = document.querySelector("body > .ui-toasts");
  if (!place) {
    place = document.createElement("div");
    place.className = "ui-toasts";
    place.setAttribute("role", "status");
    document.body.append(place);
  }
  const item = document.createElement("div");
  item.className = `ui-toast ui-note ui-note--${tone}`;
  const words = document.createElement("p");
  words.textContent = text;
  item.append(words);
  place.append(item);
  window.setTimeout(() => item.remove(), 6000);
}

/** The texts that the server put on an element, in the reader's language. */
export function textsOf(element) {
  return JSON.parse(element.dataset.texts ?? "{}");
}

/** Fill the `{name}` places of a text. */
export function fill(text, values) {
  return text.replace(/\{(\w+)\}/g, (whole, name) => (name in values ? String(values[name]) : whole));
}

/** The token that every writing request carries. */
export function csrfToken() {
  return document.querySelector('meta[name="csrf-token"]')?.content ?? "";
}
