// Answers about one item as plain data, and drafts of them in this browser. Knows no element.
// The shape is that of app/annotate/wire.py: everything by place, nothing filled in beforehand.

const emptyPart = () => ({ verdict: null, reasons: [] });

function reasonOf(answers, place, steps) {
  answers.reasons[place] ??= { whole: emptyPart(), steps: [], evidence: "", spans: [], correction: "" };
  const reason = answers.reasons[place];
  while (steps > 1 && reason.steps.length < steps) reason.steps.push(emptyPart());
  return reason;
}

const partOf = (reason, part) => (part ? reason.steps[part - 1] : reason.whole);

function toggleReason(part, name) {
  const had = part.reasons.includes(name);
  part.reasons = had ? part.reasons.filter((other) => other !== name) : [...part.reasons, name];
}

const tierOf = (order, place) => order.findIndex((tier) => tier.includes(place));
const without = (order, place) =>
  order.map((tier) => tier.filter((other) => other !== place)).filter((tier) => tier.length);

const toggleOrder = (order, place) =>
  tierOf(order, place) < 0 ? [...order, [place]] : without(order, place);

// One place up (-1) or down (1). What was tied leaves its tie first.
function moveOrder(order, place, offset) {
  const at = tierOf(order, place);
  if (at < 0) return order;
  const tied = order[at].length > 1;
  const rest = without(order, place);
  const target = tied ? (offset < 0 ? at : at + 1) : at + offset;
  return insertOrder(rest, place, target);
}

function insertOrder(rest, place, target) {
  const to = Math.max(0, Math.min(rest.length, target));
  return [...rest.slice(0, to), [place], ...rest.slice(to)];
}

// Tied with the one above; one that is tied already leaves the tie and stands below it.
function tieOrder(order, place) {
  const at = tierOf(order, place);
  if (at < 0) return order;
  if (order[at].length > 1) return insertOrder(without(order, place), place, at + 1);
  if (!at) return order;
  return without(order, place).map((tier, n) => (n === at - 1 ? [...tier, place] : tier));
}

// Python counts code points, a browser UTF-16 units.
const toPoints = (text, unit) => [...text.slice(0, unit)].length;
const toUnit = (text, points) => [...text].slice(0, points).join("").length;

function drawKey() {
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  return [...bytes].map((byte) => byte.toString(16).padStart(2, "0")).join("");
}

// Drafts stay in this browser until the server has said that they are saved.
const DRAFTS = "dear-draft";
const draftName = (...parts) => [DRAFTS, ...parts.map(encodeURIComponent)].join(" ");

function readStored(name) {
  try {
    return JSON.parse(localStorage.getItem(name));
  } catch {
    return null;
  }
}

// False where the browser keeps nothing (private windows, a full store): the desk says so.
function writeStored(name, value) {
  try {
    if (value === null) localStorage.removeItem(name);
    else localStorage.setItem(name, JSON.stringify(value));
    return true;
  } catch {
    return false;
  }
}
