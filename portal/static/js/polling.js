// Asking again while somebody looks: never in a hidden tab, never twice at once.

/**
 * Call `ask` every `seconds` while the page is visible and `wanted()` says there is something to wait for.
 * Returns a function that asks at once.
 */
export function poll(ask, seconds, wanted) {
  let busy = false;
  let timer = 0;
  const soon = () => {
    window.clearTimeout(timer);
    timer = window.setTimeout(tick, seconds * 1000);
  };
  const tick = async () => {
    if (busy || document.hidden) return soon();
    busy = true;
    try {
      await ask();
    } catch {
      // the next round asks again; a lost connection is no news worth a message
    } finally {
      busy = false;
    }
    if (wanted()) soon();
  };
  document.addEventListener("visibilitychange", () => {
    if (!document.hidden && wanted()) tick();
  });
  if (wanted()) soon();
  return tick;
}

/** The HTML of an address, parsed; null when the answer was no page. */
export async function fetchPage(address) {
  const answer = await fetch(address, { headers: { "X-Requested-With": "fetch" }, credentials: "same-origin" });
  if (!answer.ok || answer.redirected) return null;
  return new DOMParser().parseFromString(await answer.text(), "text/html");
}

/** Bring `place` to the children of `fresh`: elements with the same id are replaced only when they differ. */
export function update(place, fresh) {
  if (place.innerHTML === fresh.innerHTML) return;
  const focused = document.activeElement?.id;
  const lists = [place.querySelector(":scope > ul"), fresh.querySelector(":scope > ul")];
  if (lists[0] && lists[1] && place.children.length === 1 && fresh.children.length === 1) {
    const known = new Map([...lists[0].children].map((item) => [item.id, item]));
    for (const name of lists[1].getAttributeNames()) lists[0].setAttribute(name, lists[1].getAttribute(name));
    lists[0].replaceChildren(
      ...[...lists[1].children].map((item) => {
        const old = known.get(item.id);
        return old && old.outerHTML === item.outerHTML ? old : document.adoptNode(item);
      }),
    );
  } else {
    place.replaceChildren(...[...fresh.childNodes].map((node) => document.adoptNode(node)));
  }
  if (focused) document.getElementById(focused)?.focus({ preventScroll: true });
}
