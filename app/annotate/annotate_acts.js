// What can be done on the desk, and where its cursor is: everything that changes answers goes through
// here. Part of one function with annotate.js, which calls it for buttons, and annotate_keys.js.
let desk = null;
let visit = 0;
let state = null;
let retry = null;
let span = null;

const one = (selector) => desk.querySelector(selector);
const card = () => one(`.desk-passage[data-p="${state.cursor.p}"]`);
const cards = () => [...desk.querySelectorAll(".desk-passage")];
const same = (a, b) => JSON.stringify(a) === JSON.stringify(b);
const nameDraft = () =>
  draftName(desk.dataset.person, desk.dataset.project, desk.dataset.mode, state.item);
const nameLast = () => draftName("last", desk.dataset.person, desk.dataset.project, desk.dataset.mode);

function tell(text, tone = "info") {
  const place = one("[data-state]");
  place.textContent = text;
  place.dataset.tone = tone;
}

function notice(text, tone = "error") {
  const place = one("[data-notice]");
  place.hidden = !text;
  place.textContent = text;
  place.className = `message ${tone}`;
  place.setAttribute("role", tone === "error" ? "alert" : "status");
}

function moveTo(target, focus = true) {
  if (!target) return;
  const first = target.querySelector(".desk-part");
  state.cursor = { p: Number(target.dataset.p), r: first?.dataset.r ?? null, part: Number(first?.dataset.part ?? 0) };
  endSpan();
  draw();
  if (focus) {
    target.focus({ preventScroll: true });
    target.scrollIntoView({ block: "nearest" });
  }
}

function step(offset) {
  const list = cards();
  moveTo(list[list.indexOf(card()) + offset]);
}

function stepPart(offset) {
  const rows = [...card().querySelectorAll(".desk-part")].filter((row) => row.offsetParent);
  const at = rows.findIndex((row) => row.classList.contains("current"));
  const row = rows[at + offset];
  if (row) choosePart(row);
}

function choosePart(row) {
  state.cursor = { p: Number(row.closest(".desk-passage").dataset.p), r: row.dataset.r, part: Number(row.dataset.part) };
  draw();
  row.scrollIntoView({ block: "nearest" });
}

const opened = () => state.cursor.r !== null && card().querySelector(".desk-reason")?.offsetParent;
const reasonHere = (answers) =>
  reasonOf(answers, state.cursor.r, Number(one(`.desk-reason[data-r="${state.cursor.r}"]`).dataset.steps));

// The first thing the project asks and nobody answered, as [card, row].
function findUndecided() {
  for (const target of cards()) {
    const p = target.dataset.p;
    if (target.querySelector("[data-act=grade]") && state.answers.grades[p] === undefined) return [target];
    for (const row of target.querySelectorAll(".desk-part")) {
      const reason = state.answers.reasons[row.dataset.r];
      if (!(reason && partOf(reason, Number(row.dataset.part))?.verdict)) return [target, row];
    }
    for (const box of target.querySelectorAll(".desk-reason:has([data-act=evidence])")) {
      if (!state.answers.reasons[box.dataset.r]?.evidence) return [target, box.querySelector(".desk-part")];
    }
  }
  return null;
}

function writeIn(selector) {
  const field = selector.startsWith("#") ? one(selector.slice(1)) : card().querySelector(selector);
  if (field?.offsetParent) field.focus();
}

function toggleDrawer(name) {
  for (const drawer of desk.querySelectorAll("[data-drawer]")) {
    const shown = drawer.dataset.drawer === name && drawer.hidden;
    drawer.hidden = !shown;
    one(`[data-act=${drawer.dataset.drawer}]`).setAttribute("aria-expanded", shown);
  }
}

function endSpan() {
  if (span) getSelection().removeAllRanges();
  span = null;
}

function takeSpan(found) {
  endSpan();
  if (!found) return tell("Select words of the passage first", "error");
  getSelection().removeAllRanges();
  change((answers) => Object.assign(reasonHere(answers), { evidence: "selected", spans: [found] }));
}

function chooseEvidence(value) {
  if (!opened()) return;
  if (value === "selected") {
    const text = card().querySelector("[data-text]");
    const found = readSelection(text);
    if (found && !span) return takeSpan(found);
    span = startSpan(text);
    if (span) tell("← → move, ⇧← ⇧→ stretch, Enter takes the words, Esc leaves", "busy");
    return;
  }
  const button = card().querySelector(`.desk-reason[data-r="${state.cursor.r}"] [data-value=${value}]`);
  if (button) change((answers) => Object.assign(reasonHere(answers), { evidence: value, spans: [] }));
}

const ACTS = {
  grade: (value) => {
    if (!state.grades.includes(Number(value)) || !card().querySelector("[data-act=grade]")) return;
    change(({ grades }) => {
      if (grades[state.cursor.p] === Number(value)) delete grades[state.cursor.p];
      else grades[state.cursor.p] = Number(value);
    });
  },
  verdict: (value) => {
    if (!opened() || !card().querySelector(".desk-part")) return;
    change((answers) => {
      const part = partOf(reasonHere(answers), state.cursor.part);
      part.verdict = part.verdict === value ? null : value;
      if (part.verdict === "correct" || !part.verdict) part.reasons = [];
    });
  },
  reason: (name) => {
    if (!opened() || !name) return;
    const part = partOf(reasonHere(structuredClone(state.answers)), state.cursor.part);
    if (!part.verdict || part.verdict === "correct") return tell("First say: unsure or wrong", "error");
    change((answers) => toggleReason(partOf(reasonHere(answers), state.cursor.part), name));
  },
  evidence: chooseEvidence,
  order: () => {
    if (one("[data-order]")) change((a) => (a.order = toggleOrder(a.order, state.cursor.p)));
  },
  move: (value) => {
    const { p } = state.cursor;
    const edits = {
      up: (order) => moveOrder(order, p, -1),
      down: (order) => moveOrder(order, p, 1),
      tie: (order) => tieOrder(order, p),
      out: (order) => without(order, p),
    };
    change((answers) => (answers.order = edits[value](answers.order)));
  },
  undo: () => {
    const before = state.undo.pop();
    if (!before) return tell("Nothing to undo", "busy");
    Object.assign(state, { answers: before, key: drawKey(), typing: false });
    for (const field of desk.querySelectorAll("textarea")) field.blur();
    keep();
    tell("Undone; not saved yet", "busy");
    draw();
  },
  save: () => save("done", "next"),
  stay: () => save("done", null),
  skip: () => save("skipped", "next"),
  flag: () => change((answers) => (answers.flagged = !answers.flagged)),
  undecided: () => {
    const found = findUndecided();
    if (!found) return save("done", "next");
    moveTo(found[0]);
    if (found[1]) choosePart(found[1]);
  },
  gold: () => markGold(),
  previous: () => open("previous"),
  following: () => open("following"),
  skipped: () => open("skipped"),
  guidelines: () => toggleDrawer("guidelines"),
  keys: () => toggleDrawer("keys"),
};
