// Runs once for the component that holds the cards (element, props, watch come from gr.HTML).
// Opened drawers stay open when the cards are drawn again, text being decoded is put into its
// card as text, never as HTML, and the passage selected anywhere on the page is marked here.
// What is selected travels as the document's event "passage-select": {docId, from}, docId ""
// for none.
const opened = new Set();
let selected = "";

function listCards() {
  return [...element.querySelectorAll(".card")];
}

// A card's title becomes a button, for the keyboard; in a report, where nothing can be selected,
// it stays a title.
function makePick(card) {
  const title = card.querySelector(".title");
  const pick = document.createElement("button");
  pick.type = "button";
  pick.className = "pick";
  pick.append(...title.childNodes);
  title.append(pick);
  return pick;
}

function announce(docId) {
  document.dispatchEvent(new CustomEvent("passage-select", { detail: { docId, from: "card" } }));
}

function mark() {
  for (const card of listCards()) {
    const chosen = card.dataset.doc === selected;
    card.classList.toggle("selected", chosen);
    const pick = card.querySelector(".pick") || makePick(card);
    pick.setAttribute("aria-pressed", String(chosen));
  }
}

function show(docId) {
  const card = listCards().find((card) => card.dataset.doc === docId);
  if (!card) return;
  const { top, bottom } = card.getBoundingClientRect();
  if (top >= 0 && bottom <= window.innerHeight) return;
  const still = window.matchMedia("(prefers-reduced-motion: reduce)").matches;
  const tall = bottom - top > window.innerHeight;
  card.scrollIntoView({ block: tall ? "start" : "center", behavior: still ? "auto" : "smooth" });
}

element.addEventListener(
  "toggle",
  (event) => {
    const key = event.target.dataset.key;
    if (key === undefined) return;
    if (event.target.open) opened.add(key);
    else opened.delete(key);
  },
  true
);

element.addEventListener("click", (event) => {
  const card = event.target.closest(".card");
  if (!card || event.target.closest("summary, a")) return;
  const pick = event.target.closest(".pick");
  // Marking words with the mouse ends in a click too, and is not meant as a choice.
  if (!pick && String(window.getSelection())) return;
  announce(pick && card.dataset.doc === selected ? "" : card.dataset.doc);
});

document.addEventListener("passage-select", ({ detail }) => {
  selected = detail.docId;
  mark();
  if (selected && detail.from === "chart") show(selected);
});

document.addEventListener("keydown", (event) => {
  if (event.key !== "Escape" || !selected || event.defaultPrevented) return;
  if (!event.target.closest("input, textarea, [role=listbox]")) announce("");
});

watch(["value", "live"], () => {
  for (const drawer of element.querySelectorAll("details[data-key]")) {
    drawer.open = opened.has(drawer.dataset.key);
  }
  const live = props.live || {};
  for (const place of element.querySelectorAll("[data-live]")) {
    const text = live[place.dataset.live];
    if (text !== undefined && place.textContent !== text) place.textContent = text;
  }
  mark();
  document.dispatchEvent(new CustomEvent("cards-drawn"));
});

watch("run", () => announce(""));
