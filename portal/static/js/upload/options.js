// The options of the next upload as chips; each change is remembered by the server.

import { csrfToken, fill } from "../notices.js";

const REMEMBERED = [
  ...["itn", "channels", "hotword_lists", "speakers", "speaker_count", "language"],
  "hotword_strength",
  ...["vad_preset", "vad_max_segment", "vad_end_silence", "vad_threshold"],
];

const number = (field) => (field?.value ? Number(field.value) : null);

/** How speech is to be cut, as the server takes it. */
function cutting(fields) {
  const preset = fields.vad_preset.value;
  if (preset !== "custom") return { preset };
  return {
    preset,
    max_segment_ms: Math.round((number(fields.vad_max_segment) ?? 30) * 1000),
    end_silence_ms: number(fields.vad_end_silence),
    threshold: number(fields.vad_threshold),
  };
}

/** What is chosen now, as the server takes it. A choice that the page does not offer is not named. */
export function chosen(form) {
  const fields = form.elements;
  const able = !form.querySelector("#hotword-choices").disabled;
  const lists = [...form.querySelectorAll('input[name="hotword_lists"]:checked')].map((box) => box.value);
  const options = {
    itn: fields.itn.checked,
    channels: fields.channels.value,
    result: fields.result.value,
    vad: cutting(fields),
    hotword_lists: able ? lists : [],
    hotwords: able ? fields.hotwords.value.trim() : "",
  };
  if (fields.hotword_strength) options.hotword_strength = fields.hotword_strength.value;
  if (fields.language) options.language = fields.language.value;
  if (fields.speakers) {
    options.speakers = fields.speakers.value === "1";
    options.speaker_count = options.speakers ? number(fields.speaker_count) : null;
  }
  return options;
}

/** Attach the chips of `form` to its fields. */
export function attachOptions(form, address) {
  let timer = 0;
  const show = () => {
    for (const box of form.querySelectorAll('input[name="hotword_lists"]')) {
      const chip = form.querySelector(`[data-chip="${box.value}"]`);
      if (chip) chip.hidden = !box.checked;
    }
    const itn = form.querySelector('[data-shows="itn"]');
    itn.textContent = form.elements.itn.checked ? itn.dataset.on : itn.dataset.off;
    for (const place of form.querySelectorAll("[data-shows]")) {
      const picked = form.querySelector(`input[name="${place.dataset.shows}"]:checked[data-label]`);
      if (picked) place.textContent = picked.dataset.label;
    }
    const count = form.elements.speaker_count;
    if (count?.value && form.elements.speakers.value === "1") {
      const place = form.querySelector('[data-shows="speakers"]');
      place.textContent = fill(place.dataset.many, { count: count.value });
    }
  };
  const save = () => {
    window.clearTimeout(timer);
    timer = window.setTimeout(() => {
      const body = new FormData(form);
      for (const name of [...body.keys()]) if (!REMEMBERED.includes(name)) body.delete(name);
      body.set("csrf_token", csrfToken());
      body.set("itn", form.elements.itn.checked ? "1" : "0");
      body.delete("hotword_lists"); // a form leaves out what is switched off: those lists would be forgotten
      for (const box of form.querySelectorAll('input[name="hotword_lists"]:checked')) {
        body.append("hotword_lists", box.value);
      }
      fetch(address, { method: "POST", body, headers: { Accept: "application/json" } }).catch(() => {});
    }, 400);
  };
  form.addEventListener("change", (event) => {
    if (event.target.type === "number") fit(event.target);
    if (event.target.name !== "result" && !REMEMBERED.includes(event.target.name)) return;
    show();
    if (event.target.name !== "result") save();
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

/** Bring a number back between its limits: what stands in the field is what will be used. */
function fit(field) {
  if (!field.value) return;
  const value = Math.min(Number(field.max), Math.max(Number(field.min), Number(field.value)));
  field.value = String(Number(field.step) < 1 ? value : Math.round(value));
}
