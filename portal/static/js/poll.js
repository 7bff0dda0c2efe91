// Fresh numbers for what says data-polls="address" data-every="seconds": only while the page is seen, and never under
// somebody's fingers (an open dialog, a focused button).

const FAILURES_BEFORE_SLOWER = 3;

function busy(element) {
  return element.contains(document.activeElement) || element.querySelector("dialog[open], details[open]") !== null;
}

async function refresh(element) {
  const answer = await fetch(element.dataset.polls, { headers: { "HX-Request": "true" } });
  if (answer.status === 401) {
    window.location.reload();
    return;
  }
  if (!answer.ok) throw new Error(String(answer.status));
  const text = await answer.text();
  if (busy(element)) return;
  element.innerHTML = text;
  element.dispatchEvent(new CustomEvent("portal:polled", { bubbles: true }));
}

for (const element of document.querySelectorAll("[data-polls]")) {
  const every = Number(element.dataset.every) * 1000;
  let failures = 0;
  const tick = async () => {
    if (!document.hidden && !busy(element)) {
      try {
        await refresh(element);
        failures = 0;
      } catch {
        failures += 1;
      }
    }
    window.setTimeout(tick, failures > FAILURES_BEFORE_SLOWER ? every * 5 : every);
  };
  window.setTimeout(tick, every);
}
