// The first page: files in, what runs, what was finished.

import { announce, csrfToken, fill, textsOf } from "./notices.js";
import { fetchPage, poll, update } from "./polling.js";
import { recall } from "./upload/memory.js";
import { attachOptions, chosen } from "./upload/options.js";
import { Queue } from "./upload/queue.js";
import { Staging, filesOf } from "./upload/staging.js";

const page = document.getElementById("workspace");
const form = document.getElementById("new");
const drop = document.getElementById("drop");
const live = document.getElementById("live");
const recent = document.getElementById("recent");
const texts = textsOf(page);
const person = page.dataset.person;

attachOptions(form, page.dataset.options);

// ---- what runs ----
let known = states();

function states() {
  return new Map([...live.querySelectorAll("[data-item]")].map((item) => [item.dataset.item, { ...item.dataset }]));
}

function tidy() {
  const mine = queue.ids;
  for (const item of live.querySelectorAll("[data-upload]")) item.hidden = mine.has(item.dataset.item);
  const shown = live.querySelectorAll("[data-item]:not([hidden])").length;
  const active = Number(live.querySelector("[data-active]")?.dataset.active ?? 0) + queue.active;
  const badge = document.getElementById("running-count");
  badge.hidden = active === 0;
  badge.textContent = String(active);
  const none = document.getElementById("nothing-runs");
  if (none) none.hidden = shown > 0 || document.querySelector("#uploading > li") !== null;
}

async function refresh() {
  const fresh = await fetchPage(page.dataset.items);
  if (!fresh?.getElementById("live")) return;
  update(live, fresh.getElementById("live"));
  update(recent, fresh.getElementById("recent"));
  const now = states();
  for (const [id, before] of known) {
    const after = now.get(id);
    if (!after && before.recording && document.getElementById(`recent-${before.recording}`)) {
      announce(fill(texts.finished, { name: before.name }));
    } else if (after && after.state !== before.state && !["queued", "running"].includes(after.state)) {
      announce(fill(texts.troubled, { name: before.name }));
    }
  }
  known = now;
  tidy();
}

const running = () => Number(live.querySelector("[data-active]")?.dataset.active ?? 0) > 0;

const queue = new Queue({
  texts,
  endpoint: page.dataset.uploads,
  chunk: Number(page.dataset.chunk),
  person,
  onChange: () => {
    tidy();
    ask?.();
  },
});
let ask = null;
ask = poll(refresh, 2, running);
tidy();

live.addEventListener("click", async (event) => {
  const button = event.target.closest("[data-gives-up]");
  if (!button) return;
  button.disabled = true;
  const headers = { "X-CSRFToken": csrfToken(), "Tus-Resumable": "1.0.0" };
  await fetch(button.dataset.givesUp, { method: "DELETE", headers });
  ask();
});

// ---- files in ----
const staging = new Staging(texts, Number(page.dataset.limit), page.dataset.limitText, {
  start: (files) => {
    const options = chosen(form);
    for (const file of files) queue.add(file, options);
    document.getElementById("h-run").scrollIntoView({ block: "nearest" });
  },
  resumes: (file) => {
    const before = recall(person, file);
    const item = before && live.querySelector(`[data-item="${before.address.split("/").pop()}"] progress`);
    return item ? `${Math.floor((item.value * 100) / item.max)} %` : null;
  },
});

for (const input of [document.getElementById("files"), document.getElementById("folder")]) {
  input.addEventListener("change", () => {
    staging.add([...input.files]);
    input.value = "";
  });
}
document.getElementById("pick-folder").addEventListener("click", () => document.getElementById("folder").click());
form.addEventListener("submit", (event) => event.preventDefault());

const carriesFiles = (event) => [...(event.dataTransfer?.types ?? [])].includes("Files");
let depth = 0;
document.addEventListener("dragenter", (event) => {
  if (!carriesFiles(event)) return;
  depth += 1;
  drop.classList.add("is-over");
});
document.addEventListener("dragleave", (event) => {
  if (carriesFiles(event) && (depth -= 1) <= 0) drop.classList.remove("is-over");
});
document.addEventListener("dragover", (event) => {
  if (carriesFiles(event)) event.preventDefault();
});
document.addEventListener("drop", async (event) => {
  if (!carriesFiles(event)) return;
  event.preventDefault();
  depth = 0;
  drop.classList.remove("is-over");
  staging.add(await filesOf(event.dataTransfer));
});
document.addEventListener("paste", (event) => {
  if (event.clipboardData?.files.length) staging.add([...event.clipboardData.files]);
});
