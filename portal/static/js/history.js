// The history stays true while something in it still runs.

import { fetchPage, poll, update } from "./polling.js";

const unfinished = () => document.querySelector('#rows > [data-state="queued"], #rows > [data-state="running"]') !== null;

// a search leaves a row in the access log each time; it is not repeated behind the reader's back
if (!window.location.pathname.endsWith("/search")) {
  poll(
    async () => {
      if (document.querySelector("dialog[open], details.ui-menu[open]")) return;
      const fresh = await fetchPage(window.location.href);
      const [place, rows] = [document.getElementById("rows"), fresh?.getElementById("rows")];
      if (place && rows) {
        const [old, next] = [document.createElement("div"), document.createElement("div")];
        place.replaceWith(old);
        old.append(place);
        next.append(rows);
        update(old, next);
        old.replaceWith(old.firstElementChild);
      }
    },
    4,
    unfinished,
  );
}
