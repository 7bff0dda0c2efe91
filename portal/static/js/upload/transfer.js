// One file on its way to the server over tus 1.0: block by block, from where the server says it is, whatever breaks.

import { csrfToken } from "../notices.js";

const PAUSES = [1, 2, 4, 8, 15, 30];
const AGAIN = new Set([0, 408, 409, 423, 425, 429, 460, 500, 502, 503, 504]);

/** What the server refused: `{code, message, remedy, request_id}` in the reader's language, and the HTTP status. */
export class Refused extends Error {
  constructor(status, error) {
    super(error?.message ?? String(status));
    this.status = status;
    this.error = error ?? {};
  }
}

class Cancelled extends Error {}

/**
 * `events`: created(address), progress(bytes), checking(), paused(seconds), failed(refused), done(status).
 */
export class Transfer {
  constructor(file, { endpoint, chunk, options, key, address = null }, events) {
    Object.assign(this, { file, endpoint, chunk, options, key, address, events });
    this.offset = 0;
    this.cancelled = false;
    this.failures = 0;
    this.request = null;
  }

  /** Run to the end; never throws. */
  async run() {
    try {
      if (this.address) await this.#locate();
      if (!this.address) await this.#create();
      while (this.offset < this.file.size) await this.#insist(() => this.#send());
      this.events.done(await this.#insist(() => this.#status()));
    } catch (error) {
      if (error instanceof Cancelled) return;
      this.events.failed(error instanceof Refused ? error : new Refused(0, { code: "UNREACHABLE" }));
    }
  }

  /** Stop, and tell the server to forget what it has. */
  cancel() {
    this.cancelled = true;
    this.wake?.();
    this.request?.abort();
    if (this.address) this.#call("DELETE", this.address).catch(() => {});
  }

  async #create() {
    const answer = await this.#insist(() =>
      this.#call("POST", this.endpoint, {
        "Upload-Length": String(this.file.size),
        "Upload-Metadata": `filename ${base64(this.file.name)},options ${base64(JSON.stringify(this.options))}`,
        "Idempotency-Key": this.key,
      }),
    );
    this.address = answer.getResponseHeader("Location");
    this.offset = Number(answer.getResponseHeader("Upload-Offset") ?? 0);
    this.events.created(this.address);
    this.events.progress(this.offset);
  }

  async #locate() {
    try {
      const answer = await this.#insist(() => this.#call("HEAD", this.address));
      this.offset = Number(answer.getResponseHeader("Upload-Offset"));
      this.events.progress(this.offset);
    } catch (error) {
      if (!(error instanceof Refused) || error.status === 401) throw error;
      this.address = null; // expired or forgotten: begin anew
    }
  }

  async #send() {
    const block = this.file.slice(this.offset, this.offset + this.chunk);
    const last = this.offset + block.size >= this.file.size;
    const headers = { "Content-Type": "application/offset+octet-stream", "Upload-Offset": String(this.offset) };
    if (window.crypto?.subtle) {
      const digest = await crypto.subtle.digest("SHA-256", await block.arrayBuffer());
      headers["Upload-Checksum"] = `sha256 ${btoa(String.fromCharCode(...new Uint8Array(digest)))}`;
    }
    const answer = await this.#call("PATCH", this.address, headers, block, (sent) => {
      if (last && sent >= block.size) this.events.checking();
      else this.events.progress(this.offset + sent);
    });
    this.offset = Number(answer.getResponseHeader("Upload-Offset"));
    this.failures = 0;
    this.events.progress(this.offset);
  }

  async #status() {
    const answer = await this.#call("GET", this.address, { Accept: "application/json" });
    return JSON.parse(answer.responseText);
  }

  /** Try until it works, with pauses that grow; asks for the offset again after each break. */
  async #insist(act) {
    for (;;) {
      try {
        return await act();
      } catch (error) {
        if (this.cancelled) throw new Cancelled();
        if (!(error instanceof Refused) || !AGAIN.has(error.status) || this.failures > 60) throw error;
        if (error.error.code && error.status >= 500 && error.error.code !== "BUSY") throw error;
        await this.#pause(PAUSES[Math.min(this.failures, PAUSES.length - 1)]);
        this.failures += 1;
        if (this.address) await this.#recover();
      }
    }
  }

  async #recover() {
    try {
      const answer = await this.#call("HEAD", this.address);
      this.offset = Number(answer.getResponseHeader("Upload-Offset"));
    } catch (error) {
      if (this.cancelled) throw new Cancelled();
      if (error instanceof Refused && error.status === 410) throw error;
    }
  }

  async #pause(seconds) {
    this.events.paused(navigator.onLine ? seconds : null);
    await new Promise((resolve) => {
      this.wake = resolve;
      window.addEventListener("online", resolve, { once: true });
      window.setTimeout(resolve, seconds * 1000);
    });
    if (this.cancelled) throw new Cancelled();
  }

  #call(method, address, headers = {}, body = null, onProgress = null) {
    return new Promise((resolve, reject) => {
      const request = new XMLHttpRequest();
      this.request = request;
      request.open(method, address);
      request.setRequestHeader("Tus-Resumable", "1.0.0");
      request.setRequestHeader("X-CSRFToken", csrfToken());
      for (const [name, value] of Object.entries(headers)) request.setRequestHeader(name, value);
      if (onProgress) request.upload.addEventListener("progress", (event) => onProgress(event.loaded));
      request.addEventListener("load", () => {
        if (request.status >= 200 && request.status < 300) resolve(request);
        else reject(new Refused(request.status, errorOf(request)));
      });
      request.addEventListener("error", () => reject(new Refused(0)));
      request.addEventListener("abort", () => reject(this.cancelled ? new Cancelled() : new Refused(0)));
      request.send(body);
    });
  }
}

function errorOf(request) {
  try {
    return JSON.parse(request.responseText).error;
  } catch {
    return undefined;
  }
}

function base64(text) {
  return btoa(String.fromCharCode(...new TextEncoder().encode(text)));
}
