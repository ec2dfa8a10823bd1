// Runs once for the list of queries of a comparison (element, trigger, watch come from gr.HTML).
// Whatever stands for a query (a button of the list, a bar or dot of a chart, previous and next)
// asks the server for it by one event, "click" with {query_id}. A remark on a query is sent by
// another, "edit". What is selected is marked in the charts here, without asking again.
const panel = document.querySelector("#cmp-results");
const known = new WeakSet();
let moved = ""; // which button led to the next query: it is drawn again, and keeps the focus

const current = () => panel.querySelector(".cmp-query")?.dataset.query || "";

function choose(queryId) {
  if (queryId && queryId !== current()) trigger("click", { query_id: queryId });
}

function listCharts() {
  return [...panel.querySelectorAll(".js-plotly-plot")].filter((chart) => chart.on);
}

function mark(chart) {
  if (!chart.clientWidth) return;
  chart.data.forEach(({ meta, customdata }, at) => {
    if (!meta || meta.role !== "queries") return;
    const widths = [...customdata].map((id) => (id === current() ? 3 : 0));
    if (!widths.some(Boolean) && !chart.dataset.marked) return;
    window.Plotly.restyle(
      chart,
      { "marker.line.width": [widths], "marker.line.color": "#CC79A7" },
      [at]
    );
  });
  chart.dataset.marked = "yes";
}

function markList() {
  for (const button of element.querySelectorAll(".cmp-list [data-query]")) {
    if (button.dataset.query !== current()) {
      button.removeAttribute("aria-current");
      continue;
    }
    button.setAttribute("aria-current", "true");
    const list = button.closest("ol");
    const item = button.parentElement;
    const above = item.offsetTop - list.offsetTop;
    if (above < list.scrollTop || above + item.offsetHeight > list.scrollTop + list.clientHeight) {
      list.scrollTop = above - list.clientHeight / 3;
    }
  }
}

function adopt(chart) {
  if (known.has(chart)) return;
  known.add(chart);
  chart.on("plotly_click", ({ points }) => choose(points[0].customdata));
  new ResizeObserver(() => {
    if (chart.clientWidth && chart.isConnected) window.Plotly.Plots.resize(chart);
  }).observe(chart);
  mark(chart);
}

panel.addEventListener("click", ({ target }) => {
  const picture = target.closest("[data-picture]");
  if (picture) return save(picture);
  const button = target.closest("button[data-query]");
  if (!button || button.disabled) return;
  moved = button.dataset.move || "";
  choose(button.dataset.query);
});

panel.addEventListener("change", ({ target }) => {
  const form = target.closest(".cmp-remark");
  if (!form) return;
  const { marked, tags, comment } = form.elements;
  trigger("edit", {
    query_id: form.dataset.query,
    marked: marked.checked,
    tags: tags.value,
    comment: comment.value,
  });
});

panel.addEventListener("submit", (event) => {
  if (!event.target.closest(".cmp-remark")) return;
  event.preventDefault();
  document.activeElement.blur();
});

function save({ dataset }) {
  const chart = panel.querySelector(`.${dataset.chart} .js-plotly-plot`);
  if (!chart) return;
  const { clientWidth: width, clientHeight: height } = chart;
  // On white, whatever the page's look: a picture goes into a paper.
  const layout = { ...chart.layout, paper_bgcolor: "#ffffff", plot_bgcolor: "#ffffff" };
  window.Plotly.downloadImage(
    { data: chart.data, layout: { ...layout, font: { ...layout.font, color: "#27272a" } } },
    { format: dataset.picture, width, height, scale: 2, filename: dataset.chart }
  );
}

const TYPING =
  "input:not([type=checkbox]), textarea, select, [role=tab], [role=listbox], .cmp-scroll";
const KEYS = { j: "next", ArrowRight: "next", k: "previous", ArrowLeft: "previous" };

document.addEventListener("keydown", (event) => {
  const move = KEYS[event.key];
  if ((!move && event.key !== "m") || event.ctrlKey || event.metaKey || event.altKey || event.defaultPrevented) return;
  if (event.target.closest(TYPING)) return;
  if (event.key === "m") {
    const box = panel.querySelector(".cmp-mark input");
    if (box?.offsetParent) box.click();
    return;
  }
  const button = panel.querySelector(`.cmp-move [data-move="${move}"]`);
  if (!button || !button.offsetParent || button.disabled) return;
  event.preventDefault();
  choose(button.dataset.query);
});

new MutationObserver(() => {
  listCharts().forEach(adopt);
  if (element.dataset.shown === current()) return;
  element.dataset.shown = current();
  if (moved) panel.querySelector(`.cmp-move [data-move="${moved}"]`)?.focus();
  moved = "";
  markList();
  listCharts().forEach(mark);
}).observe(panel, { childList: true, subtree: true });

watch("value", markList);
