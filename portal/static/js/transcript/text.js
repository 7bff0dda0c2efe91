// The document as times: which sentence and word belong to a moment, which moment to a place in the text.

/** The sentences that are in the page, in order, and the parts that are not there yet. */
export class Text {
  constructor(root) {
    this.root = root;
    this.now = null;
    this.highlight = window.CSS?.highlights && window.Highlight ? new Highlight() : null;
    if (this.highlight) CSS.highlights.set("word", this.highlight);
    this.refresh();
  }

  /** Look at the page again, after a part has arrived. */
  refresh() {
    this.sentences = [...this.root.querySelectorAll(".ui-s")].map((element) => ({
      element,
      begin: Number(element.dataset.b),
      end: Number(element.dataset.e),
    }));
  }

  /** The index of the last sentence that begins at or before `ms`; -1 before the first. */
  indexAt(ms) {
    let [low, high] = [0, this.sentences.length];
    while (low < high) {
      const middle = (low + high) >> 1;
      if (this.sentences[middle].begin <= ms) low = middle + 1;
      else high = middle;
    }
    return low - 1;
  }

  /** The place of a part that holds `ms` and is not in the page, or null. */
  missingPart(ms) {
    const parts = [...this.root.querySelectorAll(".ui-part")];
    const part = parts.filter((place) => Number(place.dataset.b) <= ms).at(-1);
    if (!part) return null;
    const sentence = this.sentences[this.indexAt(ms)];
    const follows = sentence && part.compareDocumentPosition(sentence.element) & Node.DOCUMENT_POSITION_FOLLOWING;
    return follows ? null : part;
  }

  /** Mark what is said at `ms`; returns the sentence's element when another one began. */
  show(ms) {
    const found = this.sentences[this.indexAt(ms)];
    const element = found && ms <= found.end + 400 ? found.element : null;
    this.#word(element, ms);
    if (element === this.now) return null;
    this.now?.classList.remove("ui-now");
    this.now?.removeAttribute("aria-current");
    element?.classList.add("ui-now");
    element?.setAttribute("aria-current", "true");
    this.now = element;
    return element;
  }

  #word(element, ms) {
    if (!this.highlight) return;
    this.highlight.clear();
    if (!element) return;
    const numbers = numbersOf(element);
    const at = ms - Number(element.dataset.b);
    for (let i = 0; i < numbers.length; i += 4) {
      if (at < numbers[i + 2] || at >= numbers[i + 3]) continue;
      const range = rangeOf(element, numbers[i], numbers[i + 1]);
      if (range) this.highlight.add(range);
      return;
    }
  }

  /** The moment (ms) of the word under a click; null when the click met no sentence. */
  momentAt(event) {
    const element = event.target.closest?.(".ui-s");
    if (!element) return null;
    const begin = Number(element.dataset.b);
    const offset = offsetIn(element, event.clientX, event.clientY);
    if (offset === null) return begin;
    const numbers = numbersOf(element);
    let moment = 0;
    for (let i = 0; i < numbers.length && numbers[i] <= offset; i += 4) moment = numbers[i + 2];
    return begin + moment;
  }
}

function numbersOf(element) {
  element.portalWords ??= element.dataset.w ? element.dataset.w.split(",").map(Number) : [];
  return element.portalWords;
}

function* textNodes(element) {
  const walker = document.createTreeWalker(element, NodeFilter.SHOW_TEXT);
  for (let node = walker.nextNode(); node; node = walker.nextNode()) yield node;
}

// places count characters as Python does; JavaScript counts UTF-16 units, which differ only outside the basic plane
function rangeOf(element, start, length) {
  const range = document.createRange();
  let before = 0;
  let open = false;
  for (const node of textNodes(element)) {
    const size = node.data.length;
    if (!open && start < before + size) {
      range.setStart(node, start - before);
      open = true;
    }
    if (open && start + length <= before + size) {
      range.setEnd(node, start + length - before);
      return range;
    }
    before += size;
  }
  return null;
}

function offsetIn(element, x, y) {
  let [node, offset] = [null, 0];
  if (document.caretPositionFromPoint) {
    const caret = document.caretPositionFromPoint(x, y);
    [node, offset] = [caret?.offsetNode, caret?.offset ?? 0];
  } else if (document.caretRangeFromPoint) {
    const range = document.caretRangeFromPoint(x, y);
    [node, offset] = [range?.startContainer, range?.startOffset ?? 0];
  }
  let before = 0;
  for (const each of textNodes(element)) {
    if (each === node) {
      // the caret lies between two characters: take the one under the pointer
      const range = document.createRange();
      range.setStart(each, Math.max(0, offset - 1));
      range.setEnd(each, offset);
      const box = range.getBoundingClientRect();
      const inside = offset > 0 && x >= box.left && x < box.right && y >= box.top && y <= box.bottom;
      return before + (inside ? offset - 1 : offset);
    }
    before += each.data.length;
  }
  return null;
}
