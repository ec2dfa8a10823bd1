// Runs once for the status line (element comes from gr.HTML). While a run waits, Gradio writes its
// place beside the line in a shorthand ("queue: 3/20 | 4.1s"); the line says it in words, once for
// each place, so that a screen reader is not told every second.
const box = element.closest(".block");
new MutationObserver(() => {
  const line = box.querySelector("[data-waiting]");
  const place = /queue:\s*(\d+)/.exec(box.querySelector(".progress-text")?.textContent ?? "");
  if (!line || !place || line.dataset.place === place[1]) return;
  // Every run stands in line for a moment; the shorthand's clock brings us back here.
  line.dataset.since ??= performance.now();
  if (performance.now() - line.dataset.since < 400) return;
  line.dataset.place = place[1];
  // Whoever stands first still waits for the run under way, so a place is the number ahead.
  const ahead = Number(place[1]);
  const seconds = Math.ceil(ahead * Number(line.dataset.waiting));
  const about = seconds ? `, about ${seconds} s` : "";
  line.textContent = `Waiting for a turn: ${ahead} ahead of you${about}.`;
}).observe(box, { childList: true, subtree: true, characterData: true });
