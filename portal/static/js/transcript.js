// The transcript: hear what you read, read what you hear.

import { announce, textsOf, toast } from "./notices.js";
import { Parts } from "./transcript/parts.js";
import { Player } from "./transcript/player.js";
import { Text } from "./transcript/text.js";
import { drawWave } from "./transcript/wave.js";

const section = document.getElementById("player");
const root = document.getElementById("document");
const follow = document.getElementById("follow");
const texts = textsOf(section);

const text = new Text(root);
const parts = new Parts(
  root,
  () => {
    text.refresh();
    text.show(player.audio.currentTime * 1000);
  },
  () => toast(texts.more_failed, "warn"),
);

const calm = window.matchMedia("(prefers-reduced-motion: reduce)");

function bringIntoView(element) {
  element.scrollIntoView({ block: "center", behavior: calm.matches ? "auto" : "smooth" });
}

const player = new Player(section, texts, {
  moved: (ms, playing) => {
    const missing = text.missingPart(ms);
    if (missing) {
      parts.load(missing);
      return;
    }
    const began = text.show(ms);
    if (began && playing && follow.getAttribute("aria-pressed") === "true") {
      const box = began.getBoundingClientRect();
      if (box.top < 140 || box.bottom > window.innerHeight - 180) bringIntoView(began);
    }
  },
  step: (by) => {
    const index = text.indexAt(player.audio.currentTime * 1000) + by;
    const next = text.sentences[Math.max(0, index)];
    if (next) {
      player.seek(next.begin, false);
      bringIntoView(next.element);
    }
  },
  broken: () => {
    if (!section.classList.contains("is-broken")) toast(texts.no_sound, "warn");
    section.classList.add("is-broken");
  },
});

// ---- hearing from a place in the text ----
root.addEventListener("click", (event) => {
  const time = event.target.closest("[data-seek]");
  if (time) {
    player.seek(Number(time.dataset.seek), true);
    return;
  }
  if (!window.getSelection().isCollapsed) return; // somebody selects text
  const moment = text.momentAt(event);
  if (moment !== null) player.seek(moment, true);
});

follow.addEventListener("click", () => {
  const on = follow.getAttribute("aria-pressed") !== "true";
  follow.setAttribute("aria-pressed", String(on));
  if (on && text.now) bringIntoView(text.now);
});
for (const name of ["wheel", "touchmove"]) {
  document.addEventListener(
    name,
    () => {
      if (player.playing) follow.setAttribute("aria-pressed", "false");
    },
    { passive: true },
  );
}

// ---- links to a moment: #t=752.3 ----
async function goToAddress() {
  const seconds = /^#t=(\d+(?:\.\d+)?)$/.exec(window.location.hash)?.[1];
  if (seconds === undefined) return;
  const ms = Number(seconds) * 1000;
  const missing = text.missingPart(ms);
  if (missing) await parts.load(missing);
  const found = text.sentences[Math.max(0, text.indexAt(ms))];
  player.seek(ms, false);
  if (!found) return;
  for (const before of root.querySelectorAll(".is-target")) before.classList.remove("is-target");
  found.element.classList.add("is-target");
  found.element.scrollIntoView({ block: "center" });
}
window.addEventListener("hashchange", goToAddress);
goToAddress();

// ---- taking the text along ----
document.getElementById("copy").addEventListener("click", async (event) => {
  const button = event.currentTarget;
  try {
    const answer = await fetch(button.dataset.from);
    if (!answer.ok) throw new Error(String(answer.status));
    await copy(await answer.text());
    announce(texts.copied);
    toast(texts.copied, "ok");
  } catch {
    toast(texts.copy_failed, "warn");
  }
});

// browsers give the clipboard only to pages over HTTPS; a plain intranet page copies the old way
async function copy(words) {
  if (navigator.clipboard) {
    await navigator.clipboard.writeText(words);
    return;
  }
  const area = document.createElement("textarea");
  area.className = "ui-hide";
  area.value = words;
  document.body.append(area);
  area.select();
  const worked = document.execCommand("copy");
  area.remove();
  if (!worked) throw new Error("refused");
}

drawWave(document.getElementById("wave"), player.audio, section.dataset.peaks, player.duration)
  .then((drawn) => section.classList.toggle("has-wave", drawn))
  .catch(() => {});
