// What was answered, shown on the desk; spans of a passage by keys; the order by dragging. Reads
// answers, changes only elements; text goes in as text, never as HTML.

const press = (button, on) => button.setAttribute("aria-pressed", on ? "true" : "false");

function drawAnswers(desk, answers, cursor) {
  for (const card of desk.querySelectorAll(".desk-passage")) {
    const grade = answers.grades[card.dataset.p];
    card.classList.toggle("current", Number(card.dataset.p) === cursor.p);
    card.classList.toggle("graded", grade !== undefined);
    for (const button of card.querySelectorAll("[data-act=grade]")) {
      press(button, Number(button.dataset.value) === grade);
    }
    for (const button of card.querySelectorAll("[data-act=order]")) {
      press(button, tierOf(answers.order, Number(card.dataset.p)) >= 0);
    }
    for (const box of card.querySelectorAll(".desk-reason")) drawReason(box, card, answers, cursor);
  }
  drawOrder(desk, answers.order, cursor);
  setField(desk.querySelector("[data-field=comment]"), answers.comment);
  const flag = desk.querySelector("[data-act=flag]");
  press(flag, answers.flagged);
}

function drawReason(box, card, answers, cursor) {
  const reason = answers.reasons[box.dataset.r];
  for (const row of box.querySelectorAll(".desk-part")) {
    const number = Number(row.dataset.part);
    const part = (reason && partOf(reason, number)) || emptyPart();
    const here = cursor.r === row.dataset.r && cursor.part === number;
    row.classList.toggle("current", here && Number(card.dataset.p) === cursor.p);
    row.classList.toggle("asks-why", part.verdict === "wrong" || part.verdict === "unsure");
    for (const button of row.querySelectorAll("[data-act=verdict]")) {
      press(button, button.dataset.value === part.verdict);
    }
    for (const button of row.querySelectorAll("[data-act=reason]")) {
      press(button, part.reasons.includes(button.dataset.value));
    }
    for (const step of number ? box.querySelectorAll(`[data-step="${number}"]`) : []) {
      step.classList.toggle("current", row.classList.contains("current"));
      step.dataset.verdict = part.verdict || "";
    }
  }
  for (const button of box.querySelectorAll("[data-act=evidence]")) {
    press(button, reason?.evidence === button.dataset.value);
  }
  const chosen = box.querySelector("[data-chosen]");
  if (chosen) {
    const text = card.querySelector("[data-text]").textContent;
    const points = [...text];
    const spans = (reason?.spans || []).map(([start, end]) => points.slice(start, end).join(""));
    chosen.textContent = spans.map((span) => `“${span}”`).join(" ");
  }
  setField(box.querySelector("[data-field=correction]"), reason?.correction || "");
}

function setField(field, text) {
  if (field && field.value !== text && document.activeElement !== field) field.value = text;
}

function drawOrder(desk, order, cursor) {
  const list = desk.querySelector("[data-order]");
  if (!list || list.dataset.dragging) return;
  const names = new Map(
    [...desk.querySelectorAll(".desk-passage")].map((card) => [Number(card.dataset.p), card.dataset])
  );
  list.replaceChildren(
    ...order.flatMap((tier, rank) =>
      tier.map((place, n) => {
        const item = document.createElement("li");
        item.dataset.place = place;
        item.classList.toggle("current", place === cursor.p);
        item.classList.toggle("tied", n > 0);
        const number = document.createElement("span");
        number.textContent = n ? "=" : `${order.slice(0, rank).flat().length + 1}.`;
        const name = document.createElement("b");
        name.textContent = names.get(place).name;
        const title = document.createElement("span");
        title.className = "desk-order-title";
        title.textContent = names.get(place).title;
        item.append(number, name, title, ...["up", "down", "tie", "out"].map(orderButton));
        return item;
      })
    )
  );
}

const ORDER_WORDS = { up: ["↑", "Up"], down: ["↓", "Down"], tie: ["=", "Tie with the one above"],
  out: ["✕", "Take out"] };

function orderButton(act) {
  const button = document.createElement("button");
  const [sign, words] = ORDER_WORDS[act];
  Object.assign(button, { type: "button", textContent: sign, title: words });
  button.setAttribute("aria-label", words);
  button.dataset.act = "move";
  button.dataset.value = act;
  return button;
}

// Dragging a line of the order with a pointer; `dropped` gets the place and the line it came to.
function followDrag(desk, dropped) {
  desk.addEventListener("pointerdown", (event) => {
    const item = event.target.closest("[data-order] > li");
    if (!item || event.target.closest("button")) return;
    event.preventDefault();
    const list = item.parentElement;
    list.dataset.dragging = "yes";
    item.classList.add("dragged");
    const move = ({ clientY }) => {
      const others = [...list.children].filter((other) => other !== item);
      const next = others.find((other) => {
        const { top, height } = other.getBoundingClientRect();
        return clientY < top + height / 2;
      });
      list.insertBefore(item, next || null);
    };
    const end = () => {
      document.removeEventListener("pointermove", move);
      delete list.dataset.dragging;
      item.classList.remove("dragged");
      const before = [...list.children].slice(0, [...list.children].indexOf(item));
      dropped(Number(item.dataset.place), before.map((other) => Number(other.dataset.place)));
    };
    document.addEventListener("pointermove", move);
    document.addEventListener("pointerup", end, { once: true });
    document.addEventListener("pointercancel", end, { once: true });
  });
}

// The part of a passage that is selected, as [start, end) in code points; null without one.
function readSelection(text) {
  const selection = getSelection();
  if (!selection.rangeCount || selection.isCollapsed) return null;
  const range = selection.getRangeAt(0);
  if (!text.contains(range.startContainer) || !text.contains(range.endContainer)) return null;
  const before = document.createRange();
  before.setStart(text, 0);
  before.setEnd(range.startContainer, range.startOffset);
  const raw = range.toString();
  const start = before.toString().length + (raw.length - raw.trimStart().length);
  const end = start + raw.trim().length;
  if (start >= end) return null;
  return [toPoints(text.textContent, start), toPoints(text.textContent, end)];
}

function selectUnits(text, start, end) {
  getSelection().setBaseAndExtent(text.firstChild, start, text.firstChild, end);
}

// Selecting by keys: words of the passage, from the first one on. Returns what a key does.
function startSpan(text) {
  const words = [...text.textContent.matchAll(/\S+/g)].map((m) => [m.index, m.index + m[0].length]);
  if (!words.length) return null;
  let first = 0;
  let last = 0;
  const show = () => selectUnits(text, words[first][0], words[last][1]);
  show();
  return {
    move(offset, extend) {
      if (extend) last += offset;
      else [first, last] = [first + offset, last + offset];
      first = Math.max(0, Math.min(first, words.length - 1));
      last = Math.max(first, Math.min(last, words.length - 1));
      show();
    },
    take: () => readSelection(text),
  };
}
