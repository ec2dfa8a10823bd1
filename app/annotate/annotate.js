// The judging desk (element, server, watch come from gr.HTML; the other annotate_*.js stand before
// this file in the same function). Every act has a key and a button. An answer counts as saved when
// the server says so: until then it is a draft in this browser, and is sent again.
element.addEventListener("click", ({ target }) => {
  if (!desk) return;
  const free = target.closest("[data-act=guidelines], [data-act=keys], [data-act=previous]");
  if (!state) return free && ACTS[free.dataset.act]();
  const moved = target.closest("[data-order] > li");
  const owner = target.closest(".desk-passage");
  countTime();
  if (moved) state.cursor.p = Number(moved.dataset.place);
  else if (owner && Number(owner.dataset.p) !== state.cursor.p) moveTo(owner, false);
  const row = target.closest(".desk-part");
  const box = target.closest(".desk-reason");
  if (row) choosePart(row);
  else if (box && box.dataset.r !== state.cursor.r) state.cursor = { ...state.cursor, r: box.dataset.r, part: 0 };
  const button = target.closest("[data-act]");
  if (button) ACTS[button.dataset.act](button.dataset.value);
  else draw();
});
// Pressing a button takes the selection of a passage away, which "select" is about to read.
element.addEventListener("mousedown", (event) => {
  if (event.target.closest("[data-act=evidence]")) event.preventDefault();
});
element.addEventListener("input", ({ target }) => {
  const { field } = target.dataset;
  if (field === "comment") change((answers) => (answers.comment = target.value), { typed: true });
  if (field !== "correction") return;
  const box = target.closest(".desk-reason");
  change(
    (answers) => (reasonOf(answers, box.dataset.r, Number(box.dataset.steps)).correction = target.value),
    { typed: true }
  );
});
followDrag(element, (place, before) => {
  state.cursor.p = place;
  change((answers) => {
    const rest = without(answers.order, place);
    const tiers = rest.filter((tier) => tier.some((other) => before.includes(other))).length;
    answers.order = insertOrder(rest, place, tiers);
  });
  draw();
});
document.addEventListener("keydown", pressKey);
addEventListener("online", () => {
  if (!retry) return;
  retry.again();
});

// Gradio may fill the same element anew, without the mark: then another project was chosen.
function begin() {
  const found = element.querySelector(".desk");
  if (!found || found.dataset.begun) return;
  found.dataset.begun = "yes";
  [desk, state, retry, span] = [found, null, null, null];
  visit += 1;
  const last = found.dataset.open || readStored(nameLast());
  open(last ? "here" : "next", last);
}

watch("value", begin);
begin();
