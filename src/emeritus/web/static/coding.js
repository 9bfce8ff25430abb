// Selecting words in an answer fills the form of its turn. Everything works without this file: sentences can be ticked,
// numbers typed. Positions are counted in Unicode code points from the start of the answer, as the records count them.
"use strict";
(() => {
  const bar = document.querySelector("[data-selection-bar]");
  if (!bar) return;
  const shown = bar.querySelector("[data-selection-words]");
  let marked = null;

  // How many code points of the answer stand before a place in the page.
  const before = (answer, node, offset) => {
    const range = document.createRange();
    range.setStart(answer, 0);
    range.setEnd(node, offset);
    return Array.from(text(range.cloneContents())).length;
  };
  // The text of a piece of the page as it stands there: what is not part of the answer is marked data-skip.
  const text = (piece) => {
    const walk = document.createTreeWalker(piece, NodeFilter.SHOW_TEXT);
    let found = "";
    while (walk.nextNode()) {
      const parent = walk.currentNode.parentElement;
      if (!parent || !parent.closest("[data-skip]")) found += walk.currentNode.data;
    }
    return found;
  };
  const answerOf = (node) => {
    const element = node.nodeType === Node.ELEMENT_NODE ? node : node.parentElement;
    return element ? element.closest("[data-answer]") : null;
  };
  const look = () => {
    const selection = document.getSelection();
    if (!selection || !selection.rangeCount || selection.isCollapsed) return null;
    const range = selection.getRangeAt(0);
    const answer = answerOf(range.startContainer);
    if (!answer) return null;
    const end = answer.contains(range.endContainer) ? [range.endContainer, range.endOffset] : [answer, answer.childNodes.length];
    const letters = Array.from(text(answer));
    let from = before(answer, range.startContainer, range.startOffset);
    let to = before(answer, end[0], end[1]);
    while (from < to && !letters[from].trim()) from += 1;
    while (to > from && !letters[to - 1].trim()) to -= 1;
    if (from === to) return null;
    return { turn: answer.dataset.answer, start: from, end: to, quote: letters.slice(from, to).join("") };
  };

  document.addEventListener("selectionchange", () => {
    const found = look();
    if (found) {
      marked = found;
      shown.textContent = found.quote.length > 90 ? `${found.quote.slice(0, 60)} … ${found.quote.slice(-25)}` : found.quote;
    }
    bar.hidden = !found;
  });
  bar.querySelector("button").addEventListener("mousedown", (event) => event.preventDefault());  // keep the selection
  bar.querySelector("button").addEventListener("click", () => {
    if (!marked) return;
    const form = document.querySelector(`#mark-${marked.turn}`);
    form.elements.start.value = marked.start;
    form.elements.end.value = marked.end;
    form.elements.quote.value = JSON.stringify(marked.quote);
    form.querySelector("[data-quote]").textContent = marked.quote;
    form.querySelector("[data-chosen]").hidden = false;
    form.querySelectorAll("input[name=sentence]").forEach((box) => { box.checked = false; });
    form.closest("details").open = true;
    document.getSelection().removeAllRanges();
    bar.hidden = true;
    form.scrollIntoView({ block: "start" });
    form.elements.paraphrase.focus({ preventScroll: true });
  });
  document.querySelectorAll("form[id^=mark-]").forEach((form) => {
    form.addEventListener("input", (event) => {  // what is typed or ticked counts, not what was selected before
      if (["start", "end", "sentence"].includes(event.target.name)) {
        form.elements.quote.value = "";
        form.querySelector("[data-chosen]").hidden = true;
        if (event.target.name === "sentence") { form.elements.start.value = ""; form.elements.end.value = ""; }
      }
    });
  });
})();
