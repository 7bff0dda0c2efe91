// The player: the browser's own audio element behind our buttons, keys and slider.

import { fill } from "../notices.js";
import { clock } from "../upload/staging.js";

const OWN_KEYS = "input:not([type=range]), textarea, select, button, a, summary, dialog, [contenteditable]";

export class Player {
  /** `moved(ms, playing)` is called while it plays and after each jump; `step(by)` goes by sentences. */
  constructor(section, texts, { moved, step, broken }) {
    Object.assign(this, { section, texts, moved, broken });
    this.audio = section.querySelector("audio");
    this.audio.controls = false;
    this.duration = Number(section.dataset.duration) / 1000;
    this.button = section.querySelector("#play");
    this.range = section.querySelector("#seek");
    this.clock = section.querySelector("#now");
    this.button.addEventListener("click", () => this.toggle());
    this.range.addEventListener("input", () => this.seek(Number(this.range.value) * 1000, false));
    section.addEventListener("click", (event) => {
      const skip = event.target.closest("[data-skip]");
      if (skip) this.skip(Number(skip.dataset.skip));
      const rate = event.target.closest("[data-rate]");
      if (rate) this.#speed(rate);
    });
    for (const name of ["play", "pause", "ended"]) this.audio.addEventListener(name, () => this.#state());
    this.audio.addEventListener("seeked", () => this.#tick());
    this.audio.addEventListener("error", () => this.broken());
    document.addEventListener("keydown", (event) => this.#key(event, step));
    this.#show(0);
  }

  get playing() {
    return !this.audio.paused && !this.audio.ended;
  }

  toggle() {
    if (this.playing) this.audio.pause();
    else this.play();
  }

  play() {
    this.audio.play().catch((error) => {
      if (error.name === "NotSupportedError") this.broken();
    });
  }

  skip(seconds) {
    this.seek((this.audio.currentTime + seconds) * 1000, false);
  }

  /** Go to a moment; `start`: and play from there. */
  seek(ms, start) {
    const limit = this.duration || Infinity;
    this.audio.currentTime = Math.min(Math.max(0, ms / 1000), limit);
    this.#show(this.audio.currentTime);
    this.moved(this.audio.currentTime * 1000, this.playing);
    if (start) this.play();
  }

  #state() {
    this.section.classList.toggle("is-playing", this.playing);
    this.button.setAttribute("aria-label", this.playing ? this.texts.pause : this.texts.play);
    if (this.playing) requestAnimationFrame(() => this.#frame());
  }

  #frame() {
    if (!this.playing) return;
    this.#tick();
    requestAnimationFrame(() => this.#frame());
  }

  #tick() {
    this.#show(this.audio.currentTime);
    this.moved(this.audio.currentTime * 1000, this.playing);
  }

  #show(seconds) {
    const text = clock(seconds);
    if (this.clock.textContent === text && this.range.ariaValueText) return;
    this.clock.textContent = text;
    this.range.value = String(Math.round(seconds));
    this.range.setAttribute("aria-valuetext", fill(this.texts.at, { now: text, all: clock(this.duration) }));
  }

  #speed(chosen) {
    this.audio.playbackRate = Number(chosen.dataset.rate);
    for (const other of this.section.querySelectorAll("[data-rate]")) {
      other.setAttribute("aria-pressed", String(other === chosen));
    }
    const summary = this.section.querySelector("#speed");
    summary.querySelector("[data-speed]").textContent = `${chosen.dataset.rate}×`;
    summary.closest("details").open = false;
    summary.focus();
  }

  #key(event, step) {
    if (event.ctrlKey || event.metaKey || event.altKey || event.target.closest(OWN_KEYS)) return;
    if (event.key === " ") this.toggle();
    else if (event.target.type === "range") return;
    else if (event.key === "ArrowLeft") event.shiftKey ? step(-1) : this.skip(-5);
    else if (event.key === "ArrowRight") event.shiftKey ? step(1) : this.skip(5);
    else return;
    event.preventDefault();
  }
}
