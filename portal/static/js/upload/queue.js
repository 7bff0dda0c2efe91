// The files on their way: at most two at once, each shown where its progress lives, a failed one stays with "retry".

import { announce, fill } from "../notices.js";
import { forget, keep, recall } from "./memory.js";
import { size } from "./staging.js";
import { Transfer } from "./transfer.js";

const AT_ONCE = 2;

export class Queue {
  constructor({ texts, endpoint, chunk, person, onChange }) {
    Object.assign(this, { texts, endpoint, chunk, person, onChange });
    this.place = document.getElementById("uploading");
    this.waiting = [];
    this.running = new Set();
    window.addEventListener("beforeunload", (event) => {
      if (this.running.size || this.waiting.length) event.preventDefault();
    });
  }

  /** Whether anything is being sent. */
  get active() {
    return this.running.size + this.waiting.length;
  }

  /** Ids of the uploads that this page is sending. */
  get ids() {
    return new Set([...this.running].map((job) => job.transfer?.address?.split("/").pop()));
  }

  add(file, options) {
    const row = document.getElementById("upload-template").content.firstElementChild.cloneNode(true);
    const job = { file, options, row, started: 0, transfer: null };
    row.querySelector("[data-name]").textContent = file.name;
    row.querySelector("progress").setAttribute("aria-label", file.name);
    row.querySelector("[data-cancel]").addEventListener("click", () => this.#cancel(job));
    row.querySelector("[data-drop]").addEventListener("click", () => this.#remove(job));
    row.querySelector("[data-retry]").addEventListener("click", () => this.#enqueue(job));
    this.place.append(row);
    this.#enqueue(job);
  }

  #enqueue(job) {
    job.row.querySelector("[data-problem]").hidden = true;
    for (const part of [".ui-bar", ".ui-job-line", "[data-cancel]"]) job.row.querySelector(part).hidden = false;
    this.#say(job, this.texts.waiting);
    this.waiting.push(job);
    this.#next();
  }

  #next() {
    while (this.running.size < AT_ONCE && this.waiting.length) this.#start(this.waiting.shift());
    this.onChange();
  }

  #start(job) {
    const known = recall(this.person, job.file);
    const key = known?.key ?? newKey();
    job.started = performance.now();
    job.first = null;
    job.transfer = new Transfer(
      job.file,
      { endpoint: this.endpoint, chunk: this.chunk, options: job.options, key, address: known?.address },
      {
        created: (address) => {
          keep(this.person, job.file, key, address);
          this.onChange();
        },
        progress: (bytes) => this.#progress(job, bytes),
        checking: () => this.#checking(job),
        paused: (seconds) => this.#say(job, seconds ? fill(this.texts.paused, { seconds }) : this.texts.offline),
        failed: (refused) => this.#failed(job, refused),
        done: (status) => this.#done(job, status),
      },
    );
    this.running.add(job);
    job.transfer.run();
  }

  #say(job, text, rate = "") {
    job.row.querySelector("[data-state]").textContent = text;
    job.row.querySelector("[data-rate]").textContent = rate;
  }

  #progress(job, bytes) {
    job.first ??= bytes;
    const percent = Math.floor((bytes * 100) / job.file.size);
    job.row.querySelector("progress").value = percent;
    let rate = fill(this.texts.rate, { done: size(bytes), total: size(job.file.size) });
    const seconds = (performance.now() - job.started) / 1000;
    if (seconds > 4 && bytes > job.first) {
      const left = ((job.file.size - bytes) * seconds) / (bytes - job.first);
      const minutes = Math.ceil(left / 60);
      rate += ` · ${left < 60 ? this.texts.left_soon : fill(this.texts.left, { minutes })}`;
    }
    this.#say(job, fill(this.texts.uploading, { percent }), rate);
  }

  #checking(job) {
    job.row.querySelector("progress").value = 100;
    this.#say(job, this.texts.checking);
  }

  #failed(job, refused) {
    this.running.delete(job);
    if (refused.status && refused.status !== 401) forget(job.transfer.address);
    const fallback = refused.status === 401 ? this.texts.signed_out : this.texts.unreachable;
    announce(`${fill(this.texts.failed, { name: job.file.name })}${refused.error.message ?? fallback}`);
    if (refused.status === 422 && job.transfer.address) {
      job.row.remove(); // the server keeps it, with its message, in the list below
      this.#next();
      return;
    }
    const row = job.row;
    for (const part of [".ui-bar", ".ui-job-line", "[data-cancel]"]) row.querySelector(part).hidden = true;
    row.querySelector("[data-problem]").hidden = false;
    row.querySelector("[data-message]").textContent = refused.error.message ?? fallback;
    row.querySelector("[data-remedy]").textContent = refused.error.remedy ?? "";
    const number = refused.error.request_id;
    row.querySelector("[data-number]").textContent = number ? `${this.texts.request} ${number}` : "";
    this.#next();
  }

  #done(job, status) {
    this.running.delete(job);
    forget(job.transfer.address);
    if (status.state === "refused") {
      this.#failed(job, { status: 422, error: status.error ?? {} });
      return;
    }
    job.row.remove();
    announce(fill(this.texts.done, { name: job.file.name }));
    this.#next();
  }

  #cancel(job) {
    this.waiting = this.waiting.filter((other) => other !== job);
    if (job.transfer) {
      job.transfer.cancel();
      forget(job.transfer.address);
    }
    announce(fill(this.texts.cancelled, { name: job.file.name }));
    this.#remove(job);
  }

  #remove(job) {
    this.running.delete(job);
    job.row.remove();
    this.#next();
  }
}

function newKey() {
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  return [...bytes].map((byte) => byte.toString(16).padStart(2, "0")).join("");
}
