// The options of the next upload as chips; each change is remembered by the server.

import { csrfToken } from "../notices.js";

/** What is chosen now, as the server takes it. */
export function chosen(form) {
  return {
    itn: form.elements.itn.checked,
    channels: form.elements.channels.value,
    hotword_lists: [...form.querySelectorAll('input[name="hotword_lists"]:checked')].map((box) => box.value),
    hotwords: form.elements.hotwords.value.trim(),
  };
}

/** Attach the chips of `form` to its fields. */
export function attachOptions(form, address) {
  let timer = 0;
  const show = () => {
    for (const box of form.querySelectorAll('input[name="hotword_lists"]')) {
      form.querySelector(`[data-chip="${box.value}"]`).hidden = !box.checked;
    }
    const itn = form.querySelector('[data-shows="itn"]');
    itn.textContent = form.elements.itn.checked ? itn.dataset.on : itn.dataset.off;
    const channels = form.querySelector('input[name="channels"]:checked');
    form.querySelector('[data-shows="channels"]').textContent = channels.dataset.label;
  };
  const save = () => {
    window.clearTimeout(timer);
    timer = window.setTimeout(() => {
      const body = new FormData();
      const now = chosen(form);
      body.set("csrf_token", csrfToken());
      body.set("itn", now.itn ? "1" : "0");
      body.set("channels", now.channels);
      for (const list of now.hotword_lists) body.append("hotword_lists", list);
      fetch(address, { method: "POST", body, headers: { Accept: "application/json" } }).catch(() => {});
    }, 400);
  };
  form.addEventListener("change", (event) => {
    if (!["itn", "channels", "hotword_lists"].includes(event.target.name)) return;
    show();
    save();
  });
  form.addEventListener("click", (event) => {
    const button = event.target.closest("[data-unpicks]");
    if (!button) return;
    const box = document.getElementById(`list-${button.dataset.unpicks}`);
    box.checked = false;
    box.dispatchEvent(new Event("change", { bubbles: true }));
    form.querySelector(".ui-chip--add").focus();
  });
  show();
}
