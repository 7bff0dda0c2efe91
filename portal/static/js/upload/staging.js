// Files before they are sent: looked at here, so that an empty one or one too large is said at once.

import { announce, fill } from "../notices.js";

const KNOWN = /\.(wav|mp3|m4a|aac|flac|ogg|oga|opus|amr|wma|w64|aiff?|caf|mp4|m4v|mov|mkv|webm|avi|3gp|flv|mpe?g|ts|asf|wmv)$/i;

/** Bytes with a unit, as the server shows them. */
export function size(bytes) {
  const units = ["B", "KB", "MB", "GB", "TB"];
  let value = bytes;
  let unit = 0;
  while (value >= 1024 && unit < 4) {
    value /= 1024;
    unit += 1;
  }
  return `${unit < 2 || value >= 100 ? Math.round(value) : value.toFixed(1)} ${units[unit]}`;
}

/** Seconds as a clock. */
export function clock(seconds) {
  const whole = Math.round(seconds);
  const [hours, minutes, rest] = [Math.floor(whole / 3600), Math.floor(whole / 60) % 60, whole % 60];
  const two = (number) => String(number).padStart(2, "0");
  return hours ? `${hours}:${two(minutes)}:${two(rest)}` : `${minutes}:${two(rest)}`;
}

/** Every file of a drop, those inside folders as well. */
export async function filesOf(transfer) {
  const entries = [...transfer.items].map((item) => item.webkitGetAsEntry?.()).filter(Boolean);
  if (!entries.some((entry) => entry.isDirectory)) return [...transfer.files];
  const found = [];
  const walk = async (entry) => {
    if (entry.isFile) {
      found.push(await new Promise((resolve, reject) => entry.file(resolve, reject)));
      return;
    }
    const reader = entry.createReader();
    for (;;) {
      const children = await new Promise((resolve, reject) => reader.readEntries(resolve, reject));
      if (!children.length) return;
      for (const child of children) await walk(child);
    }
  };
  for (const entry of entries) await walk(entry);
  return found.filter((file) => KNOWN.test(file.name));
}

export class Staging {
  /** `start(files)` is called with what may be sent; `resumes(file)` says how far it came before, in percent. */
  constructor(texts, limit, limitText, { start, resumes }) {
    Object.assign(this, { texts, limit, limitText, start, resumes });
    this.files = new Map();
    this.card = document.getElementById("staged");
    this.list = document.getElementById("staged-files");
    document.getElementById("staged-clear").addEventListener("click", () => this.clear());
    document.getElementById("staged-start").addEventListener("click", () => {
      const ready = this.#ready();
      this.clear();
      this.start(ready);
    });
  }

  add(files) {
    for (const file of files) {
      const id = `${file.name}/${file.size}/${file.lastModified}`;
      if (!this.files.has(id)) this.files.set(id, this.#row(id, file));
    }
    this.#show();
    if (this.files.size) document.getElementById("staged-start").focus();
  }

  clear() {
    this.files.clear();
    this.list.replaceChildren();
    this.#show();
  }

  #ready() {
    return [...this.files.values()].filter((entry) => !entry.problem).map((entry) => entry.file);
  }

  #problem(file) {
    if (file.size === 0) return this.texts.empty;
    if (file.size > this.limit) return fill(this.texts.too_large, { limit: this.limitText });
    const media = file.type.startsWith("audio/") || file.type.startsWith("video/") || KNOWN.test(file.name);
    return media || file.type === "application/octet-stream" ? null : this.texts.not_media;
  }

  #row(id, file) {
    const row = document.getElementById("staged-template").content.firstElementChild.cloneNode(true);
    const problem = this.#problem(file);
    row.querySelector("[data-name]").textContent = file.name;
    row.querySelector("[data-size]").textContent = size(file.size);
    const remove = row.querySelector("[data-remove]");
    remove.setAttribute("aria-label", fill(this.texts.removed, { name: file.name }));
    remove.addEventListener("click", () => {
      this.files.delete(id);
      row.remove();
      this.#show();
    });
    if (problem) {
      row.classList.add("is-bad");
      row.querySelector("[data-flag]").hidden = false;
      const message = row.querySelector("[data-message]");
      message.hidden = false;
      message.textContent = problem;
    } else {
      const percent = this.resumes(file);
      if (percent) row.querySelector("[data-note]").textContent = fill(this.texts.resumes, { percent });
      this.#measure(file, row.querySelector("[data-length]"));
    }
    this.list.append(row);
    return { file, problem };
  }

  #measure(file, place) {
    const audio = document.createElement("audio");
    const address = URL.createObjectURL(file);
    const done = () => {
      if (Number.isFinite(audio.duration) && audio.duration > 0) place.textContent = clock(audio.duration);
      audio.removeAttribute("src");
      URL.revokeObjectURL(address);
    };
    audio.preload = "metadata";
    audio.addEventListener("loadedmetadata", done, { once: true });
    audio.addEventListener("error", done, { once: true });
    audio.src = address;
  }

  #show() {
    const ready = this.#ready().length;
    this.card.hidden = this.files.size === 0;
    document.getElementById("staged-count").textContent = String(this.files.size);
    const sum = fill(this.texts.ready, { count: ready });
    document.getElementById("staged-sum").textContent = this.files.size ? sum : "";
    const start = document.getElementById("staged-start");
    start.disabled = ready === 0;
    start.textContent = ready > 1 ? fill(this.texts.start_many, { count: ready }) : this.texts.start_one;
    if (this.files.size) announce(sum);
  }
}
