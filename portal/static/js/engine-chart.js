// The memory of the engine since this page was opened, drawn from the numbers that poll.js brings.

const POINTS = 1200; // an hour at one point every three seconds
const card = document.getElementById("engine-chart");
const place = card?.querySelector(".ui-live-chart");
const columns = [[], [], []];
let chart = null;

function colour(name) {
  return getComputedStyle(document.documentElement).getPropertyValue(name).trim();
}

function sample() {
  const now = document.querySelector("[data-engine-now]");
  if (!now) return null;
  const gpu = now.dataset.device === "gpu";
  const used = Number(gpu ? now.dataset.usedMib : now.dataset.rssMib);
  return { gpu, used, cached: gpu ? Math.max(0, Number(now.dataset.reservedMib) - used) : null };
}

function fromZero(_chart, _least, most) {
  return [0, Math.max(1, (most ?? 1) * 1.1)];
}

function aMinute(_chart, first, last) {
  return [Math.min(first, last - 60), last];
}

function draw(gpu) {
  const series = [{ label: card.dataset.time }, { label: gpu ? card.dataset.used : card.dataset.resident, stroke: colour("--ui-used"), width: 2 }];
  if (gpu) series.push({ label: card.dataset.cached, stroke: colour("--ui-text-3"), width: 2, dash: [6, 4] });
  const axis = { stroke: colour("--ui-text-2"), grid: { stroke: colour("--ui-line"), width: 1 } };
  chart = new window.uPlot(
    { width: place.clientWidth, height: 220, series, axes: [axis, { ...axis, size: 64 }], scales: { x: { range: aMinute }, y: { range: fromZero } } },
    gpu ? columns : columns.slice(0, 2),
    place,
  );
}

function add() {
  const point = sample();
  if (!card || !point) return;
  columns[0].push(Date.now() / 1000);
  columns[1].push(point.used);
  columns[2].push(point.cached);
  for (const column of columns) if (column.length > POINTS) column.shift();
  if (columns[0].length < 2) return;
  card.hidden = false;
  if (chart) chart.setData(point.gpu ? columns : columns.slice(0, 2));
  else draw(point.gpu);
}

document.addEventListener("portal:polled", add);
window.addEventListener("resize", () => chart?.setSize({ width: place.clientWidth, height: 220 }));
add();
