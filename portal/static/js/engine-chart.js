// The engine's memory, load and temperature of the last hour: the server's figures first, then what poll.js brings.

const POINTS = 1200; // an hour at one point every three seconds, the server's coarser ones included
const HOUR = 3600;
const card = document.getElementById("engine-chart");
const places = { memory: card?.querySelector("[data-memory]"), gauges: card?.querySelector("[data-gauges]") };
// time, used, cached, others', free, utilisation, temperature, resident
const columns = [[], [], [], [], [], [], [], []];
const charts = {};

function colour(name) {
  return getComputedStyle(document.documentElement).getPropertyValue(name).trim();
}

function now() {
  return document.querySelector("[data-engine-now]");
}

function number(text) {
  return text === undefined || text === "" ? null : Number(text);
}

function sample(from) {
  const set = from.dataset;
  const at = Date.now() / 1000;
  const resident = number(set.rssMib);
  if (set.device !== "gpu") return [at, null, null, null, null, null, null, resident];
  const used = number(set.usedMib);
  const cached = Math.max(0, number(set.reservedMib) - used);
  const other = number(set.otherMib);
  const free = Math.max(0, number(set.totalMib) - used - cached - other);
  return [at, used, cached, other, free, number(set.utilisation), number(set.temperature), resident];
}

function add(row) {
  const last = columns[0].at(-1);
  if (last !== undefined && row[0] <= last) return;
  columns.forEach((column, index) => column.push(row[index] ?? null));
  const oldest = columns[0].at(-1) - HOUR;
  while (columns[0].length > POINTS || columns[0][0] < oldest) for (const column of columns) column.shift();
}

// Areas lie on top of each other: each one is drawn from zero to the sum of those below it, the largest first.
function stacked() {
  const sum = (names) => columns[0].map((_, index) => names.every((name) => columns[name][index] === null) ? null : names.reduce((total, name) => total + (columns[name][index] ?? 0), 0));
  return [columns[0], sum([1, 2, 3]), sum([1, 2]), columns[1]];
}

function total() {
  return columns[0].length ? [1, 2, 3, 4].reduce((sum, name) => sum + (columns[name].at(-1) ?? 0), 0) : 0;
}

function anHour(_chart, first, last) {
  return [Math.min(first, last - 60), last];
}

function clock(chart, times) {
  const short = chart.scales.x.max - chart.scales.x.min < 600;
  const form = { hour: "2-digit", minute: "2-digit", hour12: false, ...(short ? { second: "2-digit" } : {}) };
  return times.map((time) => new Date(time * 1000).toLocaleTimeString(document.documentElement.lang, form));
}

// What is neither used nor reserved is free: the ground under the areas.
function ground(chart) {
  const { ctx, bbox } = chart;
  ctx.save();
  ctx.fillStyle = colour("--ui-sunken");
  ctx.fillRect(bbox.left, bbox.top, bbox.width, bbox.height);
  ctx.restore();
}

// A dashed line where models were changed.
function mark(chart) {
  const set = now()?.dataset;
  const at = number(set?.markAt);
  if (at === null || at === undefined || at < chart.scales.x.min || at > chart.scales.x.max) return;
  const { ctx } = chart;
  const x = chart.valToPos(at, "x", true);
  ctx.save();
  ctx.strokeStyle = ctx.fillStyle = colour("--ui-text");
  ctx.lineWidth = devicePixelRatio;
  ctx.setLineDash([3 * devicePixelRatio, 3 * devicePixelRatio]);
  ctx.beginPath();
  ctx.moveTo(x, chart.bbox.top);
  ctx.lineTo(x, chart.bbox.top + chart.bbox.height);
  ctx.stroke();
  ctx.font = `${12 * devicePixelRatio}px sans-serif`;
  const late = x > chart.bbox.left + chart.bbox.width * 0.8;
  ctx.textAlign = late ? "right" : "left";
  ctx.fillText(set.mark, x + (late ? -6 : 6) * devicePixelRatio, chart.bbox.top + 16 * devicePixelRatio);
  ctx.restore();
}

function axes(unit) {
  const look = { stroke: colour("--ui-text-2"), grid: { stroke: colour("--ui-line"), width: 1 }, ticks: { show: false } };
  return [{ ...look, size: 28, gap: 8, space: 90, values: clock, grid: { show: false } }, { ...look, size: 60, values: (_chart, values) => values.map((value) => value.toLocaleString("en") + unit) }];
}

function area(label, name) {
  return { label, fill: colour(name), stroke: colour(name), width: 0, points: { show: false } };
}

function line(label, name, scale) {
  return { label, scale, stroke: colour(name), width: 2, points: { show: false } };
}

function memoryOptions(gpu) {
  const words = card.dataset;
  const series = gpu
    ? [{ label: words.time }, area(words.other, "--ui-other"), area(words.cached, "--ui-cache"), area(words.used, "--ui-used")]
    : [{ label: words.time }, { ...area(words.resident, "--ui-cache"), stroke: colour("--ui-used"), width: 2 }];
  const range = (_chart, _least, most) => [0, gpu ? Math.max(total(), 1) : Math.max(1, (most ?? 1) * 1.25)];
  return { series, axes: axes(""), scales: { x: { range: anHour }, y: { range } }, hooks: { drawClear: [ground], draw: [mark] } };
}

function gaugeOptions() {
  const words = card.dataset;
  const series = [{ label: words.time }, line(words.utilisation, "--ui-s2", "y"), line(words.temperature, "--ui-s3", "y")];
  return { series, axes: axes(""), scales: { x: { range: anHour }, y: { range: [0, 100] } } };
}

function show(name, options, data, height) {
  if (charts[name]) {
    charts[name].setData(data);
    return;
  }
  places[name].hidden = false;
  charts[name] = new window.uPlot({ width: places[name].clientWidth, height, legend: { show: false }, cursor: { show: false }, ...options }, data, places[name]);
}

function chip(name, label, value, unit) {
  const item = document.createElement("li");
  const dot = document.createElement("span");
  dot.className = `ui-dot ui-dot--${name}`;
  item.append(dot, `${label} ${value === null ? "–" : Math.round(value).toLocaleString("en")}${unit}`);
  return item;
}

function legend(gpu) {
  const words = card.dataset;
  const last = columns.map((column) => column.at(-1) ?? null);
  const chips = gpu
    ? [chip("used", words.used, last[1], ""), chip("cache", words.cached, last[2], ""), chip("other", words.other, last[3], ""), chip("free", words.free, last[4], "")]
    : [chip("used", words.resident, last[7], "")];
  if (gpu && last[5] !== null) chips.push(chip("2", words.utilisation, last[5], " %"));
  if (gpu && last[6] !== null) chips.push(chip("3", words.temperature, last[6], " °C"));
  card.querySelector("[data-legend]").replaceChildren(...chips);
}

function draw() {
  const source = now();
  if (!source || columns[0].length < 2) return;
  const gpu = source.dataset.device === "gpu";
  card.hidden = false;
  show("memory", memoryOptions(gpu), gpu ? stacked() : [columns[0], columns[7]], 236);
  if (gpu && (columns[5].some((value) => value !== null) || columns[6].some((value) => value !== null))) {
    show("gauges", gaugeOptions(), [columns[0], columns[5], columns[6]], 110);
  }
  legend(gpu);
}

function tick() {
  const source = now();
  if (!source) return;
  add(sample(source));
  draw();
}

function again() {
  for (const name of Object.keys(charts)) {
    charts[name].destroy();
    delete charts[name];
  }
  draw();
}

async function begin() {
  try {
    const answer = await fetch(card.dataset.history, { headers: { Accept: "application/json" } });
    if (answer.ok) for (const row of (await answer.json()).rows) add(row);
  } catch {
    // an hour that can't be fetched: the chart begins now
  }
  tick();
}

if (card) {
  document.addEventListener("portal:polled", tick);
  window.addEventListener("resize", () => {
    for (const [name, chart] of Object.entries(charts)) chart.setSize({ width: places[name].clientWidth, height: chart.height });
  });
  window.matchMedia("(prefers-color-scheme: dark)").addEventListener("change", again);
  new MutationObserver(again).observe(document.documentElement, { attributes: true, attributeFilter: ["data-bs-theme"] });
  begin();
}
