// A recording without text: its state as it is, and the text as soon as there is one.

import { announce } from "./notices.js";
import { fetchPage, poll, update } from "./polling.js";

const place = document.getElementById("state");
const inside = () => place.querySelector("[data-state]").dataset;
const unfinished = () => ["queued", "running"].includes(inside().state);

poll(
  async () => {
    const before = inside().state;
    const fresh = await fetchPage(place.dataset.from);
    if (!fresh?.querySelector("[data-state]")) return;
    if (fresh.querySelector("[data-state]").dataset.text === "yes") {
      window.location.reload();
      return;
    }
    update(place, fresh.body);
    if (inside().state !== before) announce(place.querySelector("h2").textContent);
  },
  2,
  unfinished,
);
