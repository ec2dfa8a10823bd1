// Runs once for the selection line above the charts (element comes from gr.HTML). Joins the
// charts to the page's one selection, without asking the server: what each chart's traces stand
// for is said by app/figure_style.py in customdata (doc_ids) and in a trace's meta.role:
//   points    its points are passages
//   hovered, selected    empty; filled here with the points of the passage pointed at or selected
//   passage   one passage's own trace: visible while that passage is selected
// Gradio draws a chart anew whenever its value changes, so charts are found as they appear.
const panel = element.closest(".charts");
const nameButton = element.querySelector(".selected-name");
const opened = new Set();
const known = new WeakMap(); // chart -> what is marked in it now
const sized = new ResizeObserver((entries) => {
  for (const { target, contentRect } of entries) {
    if (contentRect.width && target.isConnected) refresh(target);
  }
});
let selected = "";

function announce(docId, from = "chart") {
  document.dispatchEvent(new CustomEvent("passage-select", { detail: { docId, from } }));
}

function listCharts() {
  return [...panel.querySelectorAll(".js-plotly-plot")].filter((chart) => chart.on);
}

function listCards() {
  return [...document.querySelectorAll("#cards .card")];
}

function findCard(docId) {
  return listCards().find((card) => card.dataset.doc === docId);
}

function findPoints(chart, docId) {
  const found = { x: [], y: [] };
  for (const { meta, customdata, x, y } of docId ? chart.data : []) {
    if (!meta || meta.role !== "points") continue;
    customdata.forEach((id, at) => {
      if (id !== docId) return;
      found.x.push(x[at]);
      found.y.push(y[at]);
    });
  }
  return found;
}

function fillMark(chart, role, docId) {
  const at = chart.data.findIndex(({ meta }) => meta && meta.role === role);
  const marks = known.get(chart);
  if (at < 0 || marks[role] === docId) return;
  marks[role] = docId;
  const { x, y } = findPoints(chart, docId);
  window.Plotly.restyle(chart, { x: [x], y: [y] }, [at]);
}

function moveBand(chart, docId) {
  const marks = known.get(chart);
  const { band } = chart.layout.meta;
  if (!band || marks.band === docId) return;
  marks.band = docId;
  const row = findPoints(chart, docId).y[0];
  const shapes = row === undefined ? [] : [{ ...band, y0: row - 0.5, y1: row + 0.5 }];
  window.Plotly.relayout(chart, { shapes });
}

function showPassage(chart, docId) {
  const own = [];
  chart.data.forEach(({ meta }, at) => {
    if (meta && meta.role === "passage") own.push(at);
  });
  if (!own.length) return;
  const marks = known.get(chart);
  const isOf = (id) => (at) => chart.data[at].meta.doc_id === id;
  const shown = own.some(isOf(docId)) ? docId : chart.data[own[0]].meta.doc_id;
  if (marks.passage === shown) return;
  marks.passage = shown;
  window.Plotly.restyle(chart, { visible: own.map(isOf(shown)) }, own);
}

function refresh(chart) {
  const marks = known.get(chart);
  if (!chart.clientWidth) return;
  if (marks.width !== chart.clientWidth || marks.height !== chart.clientHeight) {
    marks.width = chart.clientWidth;
    marks.height = chart.clientHeight;
    window.Plotly.Plots.resize(chart);
  }
  fillMark(chart, "selected", selected);
  moveBand(chart, selected);
  showPassage(chart, selected);
}

function describe(chart) {
  const tools = chart.closest(".chart-tab")?.querySelector(".chart-tools");
  if (!tools) return;
  const caption = tools.querySelector(".caption").textContent;
  chart.setAttribute("role", "img");
  chart.setAttribute("aria-label", `Chart: ${tools.dataset.heading}. ${caption}`);
}

function adopt(chart) {
  if (known.has(chart)) return;
  known.set(chart, { selected: "", hovered: "", band: "" });
  chart.on("plotly_click", ({ points }) => {
    const docId = points[0].customdata;
    if (docId !== undefined) announce(docId === selected ? "" : docId);
  });
  chart.on("plotly_hover", ({ points }) => fillMark(chart, "hovered", points[0].customdata || ""));
  chart.on("plotly_unhover", () => fillMark(chart, "hovered", ""));
  sized.observe(chart);
  refresh(chart);
}

function showSelection() {
  const card = findCard(selected);
  nameButton.hidden = !card;
  element.querySelector(".clear").hidden = !card;
  element.querySelector(".selected-none").hidden = Boolean(card);
  const read = (part) => [...card.querySelectorAll(part)].map((found) => found.textContent);
  const put = (place, text) => {
    if (place.textContent !== text) place.textContent = text;
  };
  put(nameButton, card ? `${read(".rank")}  ${read(".title")} ${read(".doc-id")}` : "");
  put(element.querySelector(".selected-places"), card ? read(".place").join(" → ") : "");
  for (const row of panel.querySelectorAll(".chart-table tr[data-doc]")) {
    const chosen = row.dataset.doc === selected;
    if (chosen) row.setAttribute("aria-current", "true");
    else row.removeAttribute("aria-current");
  }
}

function move(places) {
  const ids = listCards().map((card) => card.dataset.doc);
  if (!ids.length) return;
  const at = ids.indexOf(selected);
  const next = at < 0 ? (places > 0 ? 0 : ids.length - 1) : at + places;
  announce(ids[Math.min(Math.max(next, 0), ids.length - 1)], "line");
}

function save(uri, name) {
  const link = document.createElement("a");
  link.href = uri;
  link.download = name;
  link.click();
}

// The page's styles colour text and grid; a picture has to bring these colours along.
function paint(chart, heading) {
  const page = getComputedStyle(document.body);
  const read = (name) => page.getPropertyValue(name).trim();
  const [text, back, line] = [
    read("--body-text-color"), read("--body-background-fill"), read("--border-color-primary"),
  ];
  const layout = structuredClone(chart.layout);
  const escaped = heading.replace(/&/g, "&amp;").replace(/</g, "&lt;").replace(/>/g, "&gt;");
  layout.title = { text: escaped, x: 0.02, xanchor: "left", font: { size: 15 } };
  layout.margin = { ...layout.margin, t: layout.margin.t + 44 };
  Object.assign(layout, { paper_bgcolor: back, plot_bgcolor: back });
  // A picture is drawn without the page's own fonts: it is laid out with one that it will have.
  layout.font = { ...layout.font, color: text, family: "system-ui, sans-serif" };
  for (const name of Object.keys(layout).filter((key) => /^[xy]axis/.test(key))) {
    Object.assign(layout[name], { gridcolor: line, zerolinecolor: line });
  }
  delete layout.width;
  delete layout.height;
  return layout;
}

async function savePicture(button) {
  const tools = button.closest(".chart-tools");
  const chart = tools.closest(".chart-tab").querySelector(".js-plotly-plot");
  if (!chart) return;
  const { heading, file } = tools.dataset;
  const format = button.dataset.picture;
  const figure = { data: chart.data, layout: paint(chart, heading) };
  const size = { width: 960, height: 640, scale: format === "png" ? 2 : 1 };
  save(await window.Plotly.toImage(figure, { format, ...size }), `${file}.${format}`);
}

panel.addEventListener("click", (event) => {
  const button = event.target.closest("button");
  if (button?.dataset.picture) savePicture(button);
  else if (button?.dataset.move === "0") announce("", "line");
  else if (button?.dataset.move) move(Number(button.dataset.move));
  else if (button === nameButton) announce(selected);
});

panel.addEventListener(
  "toggle",
  (event) => {
    const key = event.target.dataset.key;
    if (event.target.open) opened.add(key);
    else opened.delete(key);
  },
  true
);

document.addEventListener("passage-select", ({ detail }) => {
  selected = detail.docId;
  showSelection();
  for (const chart of listCharts()) refresh(chart);
});

// The line is read from the cards, which may be drawn after the charts.
document.addEventListener("cards-drawn", showSelection);

function isOwn({ target }) {
  const chart = target.closest?.(".js-plotly-plot");
  return element.contains(target) || (chart && known.has(chart));
}

// Charts and tables come anew with every order; what is selected stays so. What happens inside a
// chart or in this line is left alone: it is caused here.
new MutationObserver((changes) => {
  if (changes.every(isOwn)) return;
  for (const chart of listCharts()) {
    adopt(chart);
    describe(chart);
  }
  for (const drawer of panel.querySelectorAll(".chart-tools details")) {
    drawer.open = opened.has(drawer.dataset.key);
  }
  showSelection();
}).observe(panel, { childList: true, subtree: true });
