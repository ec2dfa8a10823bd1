// What each key does on the desk. Part of one function with annotate.js, whose acts it calls. Keys in
// fields belong to the field, and keys elsewhere on the page to whatever is there.
const KEYS = {
  j: () => step(1), ArrowDown: () => step(1), k: () => step(-1), ArrowUp: () => step(-1),
  ".": () => stepPart(1), ",": () => stepPart(-1),
  c: () => ACTS.verdict("correct"), u: () => ACTS.verdict("unsure"), w: () => ACTS.verdict("wrong"),
  e: () => ACTS.evidence("accepted"), v: () => ACTS.evidence("selected"), b: () => ACTS.evidence("none"),
  o: ACTS.order, t: () => ACTS.move("tie"), l: () => opened() && writeIn(`.desk-reason[data-r="${state.cursor.r}"] textarea`),
  "/": () => writeIn("#[data-field=comment]"), n: ACTS.undecided, z: ACTS.undo, s: ACTS.skip, f: ACTS.flag,
  "]": ACTS.following, "[": ACTS.previous, g: ACTS.skipped, h: ACTS.guidelines, "?": ACTS.keys,
};

const WITHOUT_ITEM = ["h", "?", "g", "["];

function pressKey(event) {
  if (!desk?.offsetParent || event.ctrlKey || event.metaKey || event.altKey) return;
  const { target, key, code, shiftKey } = event;
  if (event.defaultPrevented || !target.closest("body, .desk")) return;
  // Who has just come by clicking on a tab is still on it: only what moves between tabs stays there.
  const arrived = target.closest("[role=tab]") && !/^(Arrow.*|Enter| |Home|End)$/.test(key);
  const inside = target === document.body || desk.contains(target) || arrived;
  if (!inside || target.closest("select, [role=listbox]")) return;
  if (target.closest("textarea, input")) {
    if (key === "Escape") card().focus({ preventScroll: true });
    if (key !== "Escape") return;
    return event.preventDefault();
  }
  const act = findAct(key, code, shiftKey, target);
  if (!act || (!state && !WITHOUT_ITEM.includes(key))) return;
  event.preventDefault();
  if (state) countTime();
  if (state && arrived) card().focus({ preventScroll: true });
  act();
}

function findAct(key, code, shiftKey, target) {
  const digit = /^(?:Digit|Numpad)([0-9])$/.exec(code)?.[1];
  if (span && key.startsWith("Arrow")) {
    return () => span.move(key === "ArrowLeft" || key === "ArrowUp" ? -1 : 1, shiftKey);
  }
  if (span && key === "Enter") return () => takeSpan(span.take());
  if (key === "Escape") {
    return () => {
      endSpan();
      for (const drawer of desk.querySelectorAll("[data-drawer]:not([hidden])")) toggleDrawer(drawer.dataset.drawer);
    };
  }
  if (digit && shiftKey) return () => ACTS.reason(state.reasons[Number(digit) - 1]);
  if (digit) return () => ACTS.grade(digit);
  if (shiftKey && (key === "ArrowUp" || key === "ArrowDown")) {
    return () => ACTS.move(key === "ArrowUp" ? "up" : "down");
  }
  if (shiftKey && code === "KeyG") return ACTS.gold;
  // Enter on a button that was reached by Tab presses that button.
  if (key === "Enter") return target.closest("button, a") ? null : shiftKey ? ACTS.stay : ACTS.save;
  return KEYS[key.length === 1 ? key.toLowerCase() : key];
}
