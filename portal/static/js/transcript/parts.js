// The later parts of a long document: fetched as the reader gets near, or when a moment in them is asked for.

import { fetchPage } from "../polling.js";

const PAUSE_MS = 5000;

export class Parts {
  /** `arrived()` is called when a part has come into the page. */
  constructor(root, arrived, failed) {
    Object.assign(this, { root, arrived, failed });
    this.loading = new Map();
    this.observer = new IntersectionObserver(
      (entries) => {
        for (const entry of entries) if (entry.isIntersecting) this.load(entry.target);
      },
      { rootMargin: "1200px 0px" },
    );
    for (const place of root.querySelectorAll(".ui-part")) {
      this.observer.observe(place);
      place.querySelector("a").addEventListener("click", (event) => {
        event.preventDefault();
        this.load(place);
      });
    }
  }

  /** Bring one part into the page; asking twice is harmless, and after a failure it rests for a while. */
  load(place) {
    if (!this.loading.has(place)) {
      this.observer.unobserve(place);
      this.loading.set(place, this.#fetch(place));
    }
    return this.loading.get(place);
  }

  async #fetch(place) {
    place.setAttribute("aria-busy", "true");
    try {
      const fresh = await fetchPage(place.dataset.part);
      if (!fresh) throw new Error("no part");
      place.replaceWith(...[...fresh.body.children].map((element) => document.adoptNode(element)));
      this.arrived();
    } catch {
      place.removeAttribute("aria-busy");
      // the reader is still near, and the player still here: without a pause this would be asked again at once
      window.setTimeout(() => {
        this.loading.delete(place);
        this.observer.observe(place);
      }, PAUSE_MS);
      this.failed();
    }
  }
}
