// Runs once for the component that holds the cards (element, props, watch come from gr.HTML).
// Opened drawers stay open when the cards are drawn again, and text being decoded is put into
// its card as text, never as HTML.
const opened = new Set();
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
watch(["value", "live"], () => {
  for (const drawer of element.querySelectorAll("details[data-key]")) {
    drawer.open = opened.has(drawer.dataset.key);
  }
  const live = props.live || {};
  for (const place of element.querySelectorAll("[data-live]")) {
    const text = live[place.dataset.live];
    if (text !== undefined && place.textContent !== text) place.textContent = text;
  }
});
