// Draws the page from the JSON inside it. Text from outside enters only as text nodes; nothing is fetched.
"use strict";
(() => {
const data = JSON.parse(document.getElementById("data").textContent);
const state = { group: 0, amount: "", setting: "", query: "", sort: "accuracy", down: true, row: null, playing: true, all: false };
const $ = (id) => document.getElementById(id);
const methods = [...new Set(data.rows.map((r) => r.method))].sort();
const SHAPES = ["M-5,0A5,5 0 1 1 5,0A5,5 0 1 1 -5,0Z", "M-4.5,-4.5H4.5V4.5H-4.5Z", "M0,-5.5L5.5,4.5H-5.5Z", "M0,-6L6,0L0,6L-6,0Z", "M0,5.5L5.5,-4.5H-5.5Z", "M-2,-6H2V-2H6V2H2V6H-2V2H-6V-2H-2Z", "M-5,-5L0,-2L5,-5L2,0L5,5L0,2L-5,5L-2,0Z", "M-6,-3H6V3H-6Z"];
const PHASE_COLOUR = { tune: 4, upstream: 3, distil: 0, evaluate: 2, probe: 6 };

// ---- elements

function make(space, tag, attributes, children) {
  const node = space ? document.createElementNS("http://www.w3.org/2000/svg", tag) : document.createElement(tag);
  for (const [name, value] of Object.entries(attributes || {})) {
    if (value === null || value === undefined || value === false) continue;
    if (name.startsWith("on")) node.addEventListener(name.slice(2), value);
    else if (name === "style") for (const [property, text] of Object.entries(value)) node.style.setProperty(property, text);
    else node.setAttribute(name, value);
  }
  node.append(...children.flat(3).filter((child) => child !== null && child !== undefined && child !== false).map((child) => child instanceof Node ? child : String(child)));
  return node;
}
const el = (tag, attributes, ...children) => make(false, tag, attributes, children);
const sv = (tag, attributes, ...children) => make(true, tag, attributes, children);
const fill = (node, ...children) => node.replaceChildren(...children.flat(3).filter(Boolean));
const plotOf = (id) => $(id).querySelector(".plot");
const nothing = (text) => el("p", { class: "quiet" }, text);

function tip(node, text) {
  const show = (event) => {
    const box = $("tip");
    box.textContent = text; box.hidden = false;
    const at = event.clientX === undefined ? node.getBoundingClientRect() : { right: event.clientX, bottom: event.clientY };
    box.style.left = Math.max(8, Math.min(at.right + 12, innerWidth - box.offsetWidth - 8)) + "px";
    box.style.top = Math.max(8, at.bottom + 14 + box.offsetHeight > innerHeight ? at.bottom - box.offsetHeight - 12 : at.bottom + 14) + "px";
  };
  for (const name of ["pointerenter", "pointermove", "focus"]) node.addEventListener(name, show);
  for (const name of ["pointerleave", "blur"]) node.addEventListener(name, () => { $("tip").hidden = true; });
  return node;
}

// ---- figures as text, in the way of the tables

const has = (value) => value !== undefined && value !== null;
const points = (value, signed) => { const text = (Math.round(1000 * value) / 10 + 0).toFixed(1); return signed && value >= 0 ? "+" + text.replace("-", "") : text; };
function percent(row, name, signed) {
  if (!has(row[name])) return "";
  const half = has(row[name + "_low"]) ? (row[name + "_high"] - row[name + "_low"]) / 2 : null;
  return points(row[name], signed) + (half === null ? "" : " ± " + (100 * half).toFixed(1));
}
const three = (value) => value >= 10 ? value.toFixed(1) : value === 0 ? "0" : String(Number(value.toPrecision(3)));
function size(bytes) {
  const unit = bytes >= 1 << 30 ? ["GiB", 1 << 30] : bytes >= 1 << 20 ? ["MiB", 1 << 20] : bytes >= 1 << 10 ? ["KiB", 1 << 10] : ["B", 1];
  return three(bytes / unit[1]).replace(/\.0$/, "") + " " + unit[0];
}
const seconds = (value) => !has(value) ? "" : value >= 10 ? value.toFixed(0) : value.toFixed(1);
const span = (value) => value < 120 ? seconds(value) + " s" : value < 7200 ? (value / 60).toFixed(0) + " min" : (value / 3600).toFixed(1) + " h";
const budget = (row) => row.reference ? "" : [row.amount, ...(row.setting_label === "dense" ? [] : [row.setting_label])].join(", ");
const title = (row) => row.label + (budget(row) ? " · " + budget(row) : "");
const colour = (method) => "var(--c" + (methods.indexOf(method) % 7) + ")";
const shape = (method) => SHAPES[methods.indexOf(method) % SHAPES.length];
const mark = (method) => sv("svg", { class: "mark", viewBox: "-7 -7 14 14", "aria-hidden": "true" }, sv("path", { d: shape(method), fill: colour(method) }));
const ofGroup = () => data.rows.filter((r) => r.group === state.group);
function shown(but) {
  const words = state.query.toLowerCase().split(/[\s,]+/).filter(Boolean);
  return ofGroup().filter((r) => (!state.amount || r.reference || r.amount === state.amount)
    && (but === "setting" || !state.setting || r.reference || r.setting === state.setting)
    && (!words.length || words.some((word) => r.label.toLowerCase().includes(word))));
}

const status = (text) => el("span", { class: /failed|oom|timeout/.test(text) ? "bad" : "hole" }, text);
// Sections show this many rows until all are asked for: a taxonomy has hundreds.
const MOST = 24;
const capped = (rows) => state.all ? rows : rows.slice(0, MOST);
function rest(rows) {
  return rows.length > MOST ? el("button", { type: "button", class: "more", onclick: () => { state.all = !state.all; draw(); } }, state.all ? `Show ${MOST} rows again` : `Show all ${rows.length} rows`) : null;
}

// ---- leaderboard

// Headers, texts and places come from the tables; two columns are drawn, not only written.
const DRAWN = {
  method: (r, text) => [mark(r.method), text, r.reference && el("span", { class: "tag" }, "all data")],
  accuracy: (r, text) => has(r.accuracy) ? text : status(r.status),
};
const COLUMNS = data.columns.map((c, at) => ({ ...c, text: (r) => r.shown[at][0], place: (r) => r.shown[at][1] }));

function sorted(rows, key, down) {
  const value = COLUMNS.find((c) => c.key === key).place;
  return [...rows].sort((a, b) => {
    const [x, y] = [value(a), value(b)];
    if (!has(x) || !has(y)) return has(x) ? -1 : has(y) ? 1 : 0; // what is missing comes last either way
    return (x < y ? -1 : x > y ? 1 : 0) * (down ? -1 : 1);
  });
}

function drawTable(rows) {
  const columns = COLUMNS.filter((c) => c.leaderboard && (c.key in DRAWN || rows.some((r) => c.text(r) !== "")));
  const notes = new Map();
  const best = Math.max(...rows.map((r) => r.accuracy || 0), 1e-9);
  const ordered = capped(sorted(rows, state.sort, state.down));
  const body = ordered.map((r) => {
    const numbers = (r.notes || []).map((text) => { if (!notes.has(text)) notes.set(text, notes.size + 1); return notes.get(text); });
    return el("tr", { class: state.row === r.id ? "on" : null, "data-row": r.id, onclick: () => pick(r.id, true) }, columns.map((c) =>
      el("td", { class: (c.name ? "name" : "") + (c.key === "accuracy" && has(r.accuracy) ? " meter" : ""), style: c.key === "accuracy" ? { "--part": (100 * (r.accuracy || 0) / best).toFixed(1) + "%" } : {} },
        c.key in DRAWN ? DRAWN[c.key](r, c.text(r)) : c.text(r), c.key === "accuracy" && numbers.length ? el("sup", {}, [...new Set(numbers)].sort((a, b) => a - b).join(",")) : null)));
  });
  const head = columns.map((c) => el("th", { class: c.name ? "name" : null, scope: "col", "aria-sort": state.sort === c.key ? (state.down ? "descending" : "ascending") : null },
    el("button", { type: "button", "data-sort": c.key, onclick: () => {
      state.down = state.sort === c.key ? !state.down : !c.name; state.sort = c.key; drawTable(shown());
      $("table").querySelector(`[data-sort="${c.key}"]`).focus();
    } }, c.header)));
  fill($("table"), rows.length ? el("table", { class: "board" }, el("thead", {}, el("tr", {}, head)), el("tbody", {}, body)) : nothing("No row is left by the filters."), rest(rows));
  const remarks = data.groups[state.group].remarks;
  fill($("notes"), notes.size ? el("ol", { class: "notes" }, [...notes.keys()].map((text) => el("li", {}, text))) : null,
    remarks.length ? el("ul", { class: "notes quiet" }, remarks.map((r) => el("li", {}, r.text, r.of.length ? " (" + r.of.slice(0, 3).join("; ") + (r.of.length > 3 ? " …" : "") + ")" : ""))) : null);
}

// ---- axes

function nice(top) {
  const step = [0.01, 0.02, 0.05, 0.1, 0.2, 0.25].find((s) => top / s <= 6) || 0.25;
  const end = Math.min(1, Math.ceil(top / step - 1e-9) * step);
  return { end, ticks: Array.from({ length: Math.round(end / step) + 1 }, (_, i) => i * step) };
}
const widthOf = (node) => Math.max(280, node.clientWidth || 280);
function frame(width, height, label) {
  return sv("svg", { viewBox: `0 0 ${width} ${height}`, height, role: "img", "aria-label": label });
}
const line = (cls, x1, y1, x2, y2, more) => sv("line", { class: cls, x1, y1, x2, y2, ...more });
const word = (x, y, text, more) => sv("text", { x, y, ...more }, text);
function dot(row, x, y, text) {
  return tip(sv("path", { class: "point", d: shape(row.method), fill: colour(row.method), transform: `translate(${x},${y})`, tabindex: 0, role: "button", "aria-label": text.replace(/\n/g, ", "),
    onclick: () => pick(row.id, true), onkeydown: (e) => { if (e.key === "Enter") pick(row.id, true); } }), text);
}
function legend(rows) {
  return el("div", { class: "legend" }, [...new Set(rows.map((r) => r.method))].map((m) =>
    el("button", { type: "button", title: "Show this method alone, or all again", onclick: () => { state.query = state.query === m ? "" : m; $("query").value = state.query; draw(); } }, mark(m), m)));
}
function chance(g, x1, y1, x2, y2) {
  return has(g.chance) ? line("chance", x1, y1, x2, y2) : null;
}

// ---- which differences are real

function drawComparisons() {
  const g = data.groups[state.group], words = state.query.toLowerCase().split(/[\s,]+/).filter(Boolean);
  const wanted = (label) => !words.length || words.some((word) => label.toLowerCase().includes(word));
  const boards = data.comparisons.filter((c) => c.group === state.group && (!state.amount || c.amount === state.amount) && (!state.setting || c.setting === state.setting))
    .map((c) => ({ ...c, kept: c.rows.map((_, i) => i).filter((i) => wanted(c.rows[i].label)) })).filter((c) => c.kept.length > 1);
  const drawn = state.all ? boards : boards.slice(0, 2);
  const over = data.mean_ranks.filter((m) => m.profile === g.profile && m.network === g.network && m.protocol === g.protocol && m.judged_on === g.judged_on && m.datasets.includes(g.dataset));
  fill($("pairs"), boards.length ? drawn.map((c) => [el("h3", {}, c.amount, ", ", c.setting_label), pairs(c)]) : nothing("No test here: it takes two methods with at least three distillation seeds and two networks each."),
    boards.length > 2 ? el("button", { type: "button", class: "more", onclick: () => { state.all = !state.all; draw(); } }, state.all ? "Show 2 tables again" : `Show all ${boards.length} tables`) : null);
  fill($("ranks"), over.length ? over.map((m) => meanRanks(m)) : nothing("Mean ranks take at least two datasets with three methods in common, in one profile and protocol."));
}

// The corrected p-value of every pair, the better method in its row.
function pairs(c) {
  const n = c.kept.length, width = widthOf($("pairs")), name = (i) => c.rows[c.kept[i]].label;
  const left = Math.min(width * 0.4, 44 + 7.4 * Math.max(...c.kept.map((i) => c.rows[i].label.length))), cell = Math.max(10, Math.min(46, (width - left - 6) / n));
  const svg = frame(width, 24 + n * Math.min(cell, 28) + 4, "Corrected p-values of all pairs");
  const high = Math.min(cell, 28), most = Math.floor((left - 30) / 7.2);
  const cut = (text) => text.length > most ? text.slice(0, most - 1) + "…" : text;
  for (let i = 0; i < n; i++) svg.append(word(0, 24 + i * high + high / 2 + 4, `${i + 1}  ${cut(name(i))}`, { class: "strong" }), word(left + i * cell + cell / 2, 16, i + 1, { "text-anchor": "middle" }));
  for (const [a, b, difference, p, corrected] of c.tests) {
    const i = c.kept.indexOf(a), j = c.kept.indexOf(b);
    if (i < 0 || j < 0) continue;
    const real = corrected < 0.05, x = left + j * cell, y = 24 + i * high;
    const text = corrected < 0.001 ? "<.001" : corrected.toFixed(corrected < 0.01 ? 3 : 2).replace(/^0/, "");
    svg.append(tip(sv("rect", { x, y, width: cell - 1, height: high - 1, rx: 2, class: real ? "real" : "unreal", "data-p": corrected, tabindex: 0 }), `${name(i)} over ${name(j)}\n${points(difference, true)} points, p = ${p}\ncorrected for ${c.tests.length} pairs: ${corrected}${real ? ": a real difference" : ""}`));
    if (cell >= 40) svg.append(word(x + cell / 2, y + high / 2 + 4, text, { "text-anchor": "middle", class: real ? "on" : "" }));
  }
  return svg;
}

// Demsar's summary: mean ranks as dots, and bars that join methods which cannot be told apart.
function meanRanks(m) {
  const names = Object.keys(m.mean_ranks), ranks = Object.values(m.mean_ranks), n = names.length, width = widthOf($("ranks"));
  const bars = m.groups.filter((names) => names.length > 1), left = Math.min(width * 0.4, 16 + 7.4 * Math.max(...names.map((text) => text.length))), right = width - 16 - 12 * bars.length, top = 44, pitch = 24, bottom = top + n * pitch;
  const px = (rank) => left + (rank - 1) / Math.max(1, n - 1) * (right - left - 10);
  const svg = frame(width, bottom + 22, "Mean ranks over datasets"), most = Math.floor((left - 12) / 7.2);
  for (let rank = 1; rank <= n; rank++) if (n <= 12 || rank % 2) svg.append(line("grid", px(rank), top - 4, px(rank), bottom), word(px(rank), bottom + 16, rank, { "text-anchor": "middle" }));
  const reach = Math.min(m.critical_difference, n - 1);
  svg.append(line("difference", px(1), 22, px(1 + reach), 22), word(px(1), 12, `critical difference ${m.critical_difference.toFixed(2)}`, { class: "strong" }));
  names.forEach((text, i) => {
    const y = top + i * pitch + pitch / 2;
    svg.append(word(left - 12, y + 4, text.length > most ? text.slice(0, most - 1) + "…" : text, { "text-anchor": "end", class: "strong" }), line("grid", left, y, right, y),
      tip(sv("path", { class: "point", d: shape(text.split(" [")[0]), fill: colour(text.split(" [")[0]), transform: `translate(${px(ranks[i])},${y})`, tabindex: 0 }), `${text}\nmean rank ${ranks[i].toFixed(2)} of ${n}`));
  });
  bars.forEach((group, k) => svg.append(tip(line("joined", right + 10 + 12 * k, top + names.indexOf(group[0]) * pitch + 5, right + 10 + 12 * k, top + (names.indexOf(group[group.length - 1]) + 1) * pitch - 5), `cannot be told apart:\n${group.join(", ")}`)));
  const found = m.friedman_p < 0.05 ? "the methods differ" : "the methods cannot be told apart";
  return [el("h3", {}, [m.ipc === null ? (has(m.budget) ? size(m.budget) : "any IPC") : "IPC " + m.ipc, m.setting_label, m.datasets.join(", ")].join(" · ")), svg,
    el("p", { class: "quiet" }, `Friedman's test over ${m.datasets.length} datasets: chi-squared ${m.friedman_chi_squared.toFixed(2)}, p = ${m.friedman_p.toPrecision(2)}: ${found}. A bar joins methods whose mean ranks differ by less than Nemenyi's critical difference.`)];
}

// ---- accuracy and bytes

function drawBytes(rows) {
  const node = plotOf("bytes"), g = data.groups[state.group];
  const known = rows.filter((r) => has(r.accuracy) && has(r.storage_bytes_max));
  if (!known.length) return fill(node, nothing("No finished row to plot."));
  const width = widthOf(node), height = Math.min(440, Math.max(300, width * 0.5)), left = 44, right = width - 16, top = 26, bottom = height - 46;
  const logs = known.map((r) => Math.log2(r.storage_bytes_max));
  const low = Math.floor(Math.min(...logs) - 0.4), high = Math.max(Math.ceil(Math.max(...logs) + 0.4), low + 4);
  const y = nice(Math.max(...known.map((r) => Math.min(1, has(r.accuracy_high) ? r.accuracy_high : r.accuracy)), 0.05) * 1.04);
  const px = (bytes) => left + (Math.log2(bytes) - low) / (high - low) * (right - left), py = (share) => bottom - Math.max(0, Math.min(share, y.end)) / y.end * (bottom - top);
  const step = Math.max(2, Math.ceil((high - low) / Math.max(2, (right - left) / 90) / 2) * 2);
  const svg = frame(width, height, "Accuracy against bytes stored");
  for (const tick of y.ticks) svg.append(line("grid", left, py(tick), right, py(tick)), word(left - 8, py(tick) + 4, (100 * tick).toFixed(0), { "text-anchor": "end" }));
  for (let k = Math.ceil(low / step) * step; k <= high; k += step) svg.append(line("grid", px(2 ** k), top, px(2 ** k), bottom), word(px(2 ** k), bottom + 18, size(2 ** k), { "text-anchor": "middle" }));
  svg.append(word((left + right) / 2, height - 6, "bytes stored, logarithmic", { "text-anchor": "middle" }), word(4, 10, "accuracy %"));
  if (has(g.chance)) svg.append(chance(g, left, py(g.chance), right, py(g.chance)), word(right, py(g.chance) - 5, "chance", { "text-anchor": "end" }));
  const front = sorted(known.filter((r) => r.optimal), "stored", false);
  if (front.length > 1) svg.append(sv("path", { class: "front", d: front.map((r, i) => i ? `H${px(r.storage_bytes_max)}V${py(r.accuracy)}` : `M${px(r.storage_bytes_max)},${py(r.accuracy)}`).join("") }));
  for (const r of known) if (has(r.accuracy_low)) svg.append(line("", px(r.storage_bytes_max), py(r.accuracy_low), px(r.storage_bytes_max), py(r.accuracy_high), { stroke: colour(r.method), "stroke-width": 1.5, opacity: 0.45 }));
  for (const r of known) svg.append(dot(r, px(r.storage_bytes_max), py(r.accuracy), `${title(r)}\n${percent(r, "accuracy")} %\n${size(r.storage_bytes_max)}${r.optimal ? ", on the Pareto front" : ""}`));
  return fill(node, svg, legend(known));
}

// ---- dots in lines: taxonomy and probes

function dotLines(node, lines, label, g) { // lines: {head, sub, dots: [{row, value, low, high, draw(x, y)}]}
  const width = widthOf(node), narrow = width < 620, left = narrow ? 10 : Math.min(300, width * 0.34), right = width - 14, pitch = (narrow ? 34 : 20) + Math.max(14, 8 * Math.max(...lines.map((l) => l.joined ? 1 : l.dots.length))), top = 26;
  const height = top + lines.length * pitch + 30, bottom = height - 26;
  const scale = nice(Math.max(0.05, ...lines.flatMap((l) => l.dots.map((d) => Math.min(1, d.high ?? d.value)))) * 1.03);
  const px = (share) => left + Math.max(0, Math.min(share, scale.end)) / scale.end * (right - left);
  const svg = frame(width, height, label);
  for (const tick of scale.ticks) svg.append(line("grid", px(tick), top - 6, px(tick), bottom), word(px(tick), bottom + 16, (100 * tick).toFixed(0), { "text-anchor": "middle" }));
  svg.append(word(right, 12, "accuracy %", { "text-anchor": "end" }));
  if (has(g.chance)) svg.append(chance(g, px(g.chance), top - 6, px(g.chance), bottom), word(px(g.chance), 12, "chance", { "text-anchor": "middle" }));
  lines.forEach((l, place) => {
    const middle = top + place * pitch + (narrow ? 14 + (pitch - 14) / 2 : pitch / 2);
    const head = sv("text", { x: narrow ? left : left - 14, y: narrow ? top + place * pitch + 14 : middle + 4, "text-anchor": narrow ? "start" : "end", class: "strong" }, l.head);
    if (l.sub) head.append(sv("tspan", { fill: "var(--soft)", dx: 6 }, l.sub));
    svg.append(head, line("grid", left, middle, right, middle));
    const values = l.dots.map((d) => d.value);
    if (l.joined && values.length) svg.append(line("", px(Math.min(...values)), middle, px(Math.max(...values)), middle, { stroke: "var(--soft)", "stroke-width": 2, opacity: 0.5 }));
    // Side by side where they would lie on each other: each method a little below the one before.
    const at = (k) => l.joined ? middle : middle + (k - (l.dots.length - 1) / 2) * Math.min(8, (pitch - 16) / l.dots.length);
    l.dots.forEach((d, k) => { if (has(d.low)) svg.append(line("", px(d.low), at(k), px(d.high), at(k), { stroke: d.stroke, "stroke-width": 2, opacity: 0.4 })); });
    l.dots.forEach((d, k) => svg.append(d.draw(px(d.value), at(k))));
  });
  return svg;
}

function drawTaxonomy(rows) {
  const node = plotOf("taxonomy"), g = data.groups[state.group];
  const known = rows.filter((r) => !r.reference && has(r.accuracy) && r.factors);
  const several = new Set(known.map((r) => r.label + "\n" + r.amount).filter((key) => new Set(known.filter((r) => r.label + "\n" + r.amount === key).map((r) => r.setting)).size > 1));
  const used = known.filter((r) => several.has(r.label + "\n" + r.amount));
  if (!used.length) return fill(node, nothing("No method has records in two temporal settings; run some with --settings taxonomy."));
  return fill(node, [...new Set(used.map((r) => r.amount))].map((amount) => {
    const here = used.filter((r) => r.amount === amount);
    const lines = [...new Set(here.map((r) => r.setting))].map((setting) => {
      const members = here.filter((r) => r.setting === setting), f = members[0].factors;
      const bytes = [...new Set(members.map((r) => size(r.storage_bytes_max)))];
      return { head: members[0].setting_label === setting ? `n${f.n} r${f.r} K${f.k} ${f.i}` : members[0].setting_label, sub: members[0].setting_label === setting ? "" : `n${f.n} r${f.r} K${f.k} ${f.i}`, dots: members.map((r) => ({
        value: r.accuracy, low: r.accuracy_low, high: r.accuracy_high, stroke: colour(r.method),
        draw: (x, y) => dot(r, x, y, `${title(r)}\n${percent(r, "accuracy")} %\n${bytes.length === 1 ? bytes[0] : size(r.storage_bytes_max)} stored${has(r.temporal_gain) ? "\ntemporal gain " + percent(r, "temporal_gain", true) : ""}`) })) };
    });
    return [el("h3", {}, amount), dotLines(node, lines, "Accuracy by temporal setting, " + amount, g)];
  }), legend(used));
}

function drawProbes(rows) {
  const node = plotOf("probes"), g = data.groups[state.group];
  const known = sorted(rows.filter((r) => has(r.accuracy) && data.probes.some((p) => has(r[p]))), "accuracy", true);
  if (!known.length) return fill(node, nothing("No row holds temporal probes."));
  const kinds = ["as they are", ...data.probes];
  const piece = (kind, x, y, text) => tip(sv("path", { class: "point", d: SHAPES[kinds.indexOf(kind)], fill: kind === kinds[0] ? "var(--ink)" : `var(--c${kinds.indexOf(kind) - 1})`, transform: `translate(${x},${y})`, tabindex: 0 }), text);
  const lines = capped(known).map((r) => ({ head: r.label, sub: budget(r), joined: true, dots: [...data.probes.filter((p) => has(r[p])), kinds[0]].map((kind) => ({
    value: kind === kinds[0] ? r.accuracy : r[kind],
    draw: (x, y) => piece(kind, x, y, `${title(r)}\n${kind}: ${points(kind === kinds[0] ? r.accuracy : r[kind])} %${kind === kinds[0] ? "" : "\ndifference " + percent(r, kind + "_minus_accuracy", true)}`) })) }));
  const columns = COLUMNS.filter((c) => c.probes);
  const table = el("div", { class: "scroll" }, el("table", {}, el("thead", {}, el("tr", {}, el("th", { class: "name" }, "method"), el("th", { class: "name" }), columns.map((c) => el("th", {}, c.header)))),
    el("tbody", {}, capped(known).map((r) => el("tr", {}, el("td", { class: "name" }, mark(r.method), r.label), el("td", { class: "name" }, budget(r)), columns.map((c) => el("td", {}, c.text(r))))))));
  return fill(node, dotLines(node, lines, "Accuracy under temporal probes", g),
    el("div", { class: "legend" }, kinds.map((kind, i) => el("span", {}, sv("svg", { class: "mark", viewBox: "-7 -7 14 14" }, sv("path", { d: SHAPES[i], fill: i ? `var(--c${i - 1})` : "var(--ink)" })), kind))), table, rest(known));
}

// ---- classes

function drawClasses(rows) {
  const node = plotOf("classes"), g = data.groups[state.group];
  const known = sorted(rows.filter((r) => r.confusion.length), "accuracy", true);
  if (!known.length) { fill($("row")); return fill(node, nothing("No finished row.")); }
  const row = known.find((r) => r.id === state.row) || known.find((r) => !r.reference) || known[0];
  fill($("row"), known.map((r) => el("option", { value: r.id, ...(r === row ? { selected: "" } : {}) }, title(r) + (has(r.accuracy) ? " (" + points(r.accuracy) + " %)" : ""))));
  const name = (i) => g.classes[i] || "class " + i, count = row.confusion.length;
  const totals = row.confusion.map((counts) => counts.reduce((a, b) => a + b, 0));
  const share = (i, j) => totals[i] ? row.confusion[i][j] / totals[i] : 0;
  const wide = widthOf(node), half = wide > 680 ? (wide - 28) / 2 : wide;
  const longest = Math.min(130, 7 * Math.max(...row.confusion.map((_, i) => name(i).length)) + 8);
  const cut = (text, most) => text.length > most ? text.slice(0, most - 1) + "…" : text;
  const bars = frame(half, count * 20 + 24, "Accuracy by class");
  const px = (v) => longest + v * (half - longest - 46);
  row.confusion.forEach((_, i) => bars.append(word(longest - 8, i * 20 + 14, cut(name(i), 17), { "text-anchor": "end" }),
    tip(sv("rect", { x: longest, y: i * 20 + 3, width: Math.max(1, px(share(i, i)) - longest), height: 14, rx: 3, fill: "var(--accent)" }), `${name(i)}\n${points(share(i, i))} % of ${totals[i]} answers`),
    word(px(share(i, i)) + 6, i * 20 + 14, points(share(i, i)))));
  if (has(g.chance)) bars.append(line("chance", px(g.chance), 0, px(g.chance), count * 20 + 4), word(px(g.chance), count * 20 + 18, "chance", { "text-anchor": "middle" }));
  const named = count <= 25, left = named ? longest : 4, cell = Math.max(2, Math.min(40, (half - left - 4) / count)), below = named ? longest : 4;
  const matrix = frame(half, count * cell + below + 4, "Confusion matrix");
  row.confusion.forEach((counts, i) => {
    if (named) matrix.append(word(left - 8, i * cell + cell / 2 + 4, cut(name(i), 17), { "text-anchor": "end" }), word(0, 0, cut(name(i), 17), { transform: `translate(${left + i * cell + cell / 2 + 4},${count * cell + 8}) rotate(-90)`, "text-anchor": "end" }));
    counts.forEach((n, j) => { if (n || named) matrix.append(tip(sv("rect", { x: left + j * cell, y: i * cell, width: cell - (cell > 8 ? 1 : 0), height: cell - (cell > 8 ? 1 : 0), fill: n ? (i === j ? "var(--accent)" : "var(--c1)") : "var(--tint)", "fill-opacity": n ? 0.12 + 0.88 * share(i, j) : 1 }), `true: ${name(i)}\nanswered: ${name(j)}\n${n} of ${totals[i]} (${points(share(i, j))} %)`)); });
  });
  return fill(node, el("div", { class: "two" }, el("div", {}, el("h3", {}, "Accuracy by class, %"), bars), el("div", {}, el("h3", {}, "Confusions: true class down, answer across"), matrix)));
}

// ---- clips

function drawClips(rows) {
  const node = plotOf("clips"), g = data.groups[state.group];
  const known = sorted(rows.filter((r) => r.clips.length), "accuracy", true);
  $("play").hidden = !known.length;
  if (!known.length) return fill(node, nothing("No clips here: stored sets lie in artefacts/ beside the records, on the machine that made them."));
  const labels = [...new Set([...g.real, ...known.flatMap((r) => r.clips)].map((c) => c.label))].sort((a, b) => a - b);
  const reel = (head, clips, cls) => el("div", { class: "reel " + cls }, el("h3", {}, head), el("div", { class: "strip", style: { "grid-template-columns": `repeat(${labels.length}, minmax(0, 150px))` } }, labels.map((label) => {
    const clip = clips.find((c) => c.label === label), name = g.classes[label] || "class " + label;
    if (!clip || !/^data:image\/(png|webp);base64,[\w+/=]+$/.test(clip.image)) return el("figure", {});
    return el("figure", {}, el("div", { class: "clip" + ((g.geometry.size || 0) > 64 ? " smooth" : ""), role: "img", "aria-label": `${name}, ${clip.frames} frames`, style: { "--frames": clip.frames, "background-image": `url("${clip.image}")` } }), el("figcaption", { title: name }, name));
  })));
  return fill(node, g.real.length ? reel("Real clips", g.real, "real") : null, el("div", { class: "reels" }, capped(known).map((r) => reel([mark(r.method), title(r), has(r.storage_bytes_max) && el("span", { class: "tag" }, size(r.storage_bytes_max)), has(r.accuracy) && el("span", { class: "tag" }, points(r.accuracy) + " %")], r.clips, ""))), rest(known));
}

// ---- losses

function drawLosses(rows) {
  const node = plotOf("losses");
  const known = rows.filter((r) => r.curves.length);
  if (!known.length) return fill(node, nothing("No method here has a loss."));
  const width = 260, height = 130, left = 46, right = width - 6, top = 8, bottom = height - 22;
  const compact = (v) => v !== 0 && (Math.abs(v) >= 1e4 || Math.abs(v) < 1e-2) ? v.toExponential(0) : String(Number(v.toPrecision(2)));
  return fill(node, el("div", { class: "many" }, capped(known).map((r) => {
    const all = r.curves.flatMap((c) => c.loss), steps = Math.max(...r.curves.flatMap((c) => c.step));
    const log = Math.min(...all) > 0, f = log ? Math.log10 : (v) => v;
    const low = f(Math.min(...all)), high = Math.max(f(Math.max(...all)), low + 1e-9);
    const px = (s) => left + s / steps * (right - left), py = (v) => bottom - (f(v) - low) / (high - low) * (bottom - top);
    const svg = frame(width, height, "Loss of " + title(r));
    svg.removeAttribute("height");
    svg.append(line("grid", left, top, right, top), line("grid", left, bottom, right, bottom), word(left - 6, top + 5, compact(Math.max(...all)), { "text-anchor": "end" }), word(left - 6, bottom + 3, compact(Math.min(...all)), { "text-anchor": "end" }),
      word(right, height - 6, "step " + steps, { "text-anchor": "end" }), word(left, height - 6, log ? "logarithmic" : ""));
    r.curves.forEach((c, i) => svg.append(tip(sv("path", { d: c.loss.map((v, k) => (k ? "L" : "M") + px(c.step[k]).toFixed(1) + "," + py(v).toFixed(1)).join(""), fill: "none", stroke: colour(r.method), "stroke-width": 1.6, opacity: 1 - 0.25 * (i % 3) }), `${title(r)}\n${has(c.seed) ? "seed " + c.seed : ""}\n${compact(c.loss[0])} to ${compact(c.loss[c.loss.length - 1])}`)));
    return el("figure", {}, el("figcaption", { title: title(r) }, mark(r.method), title(r)), svg);
  })), rest(known));
}

// ---- costs

function drawCosts(rows) {
  const node = plotOf("costs");
  const sum = (r) => data.phases.reduce((total, p) => total + (r.seconds[p] || 0), 0);
  const every = rows.filter((r) => sum(r) > 0).sort((a, b) => sum(b) - sum(a)), known = capped(every);
  if (!known.length) return fill(node, nothing("No finished row."));
  const width = widthOf(node), narrow = width < 620, left = narrow ? 0 : Math.min(280, width * 0.34), pitch = narrow ? 42 : 26, top = Math.max(...known.map(sum));
  const svg = frame(width, known.length * pitch + 4, "Seconds by phase");
  known.forEach((r, i) => {
    let x = left;
    const y = i * pitch + (narrow ? 18 : 4), scale = (width - left - 70) / top;
    const head = sv("text", { x: narrow ? 0 : left - 12, y: narrow ? y - 5 : y + 13, "text-anchor": narrow ? "start" : "end", class: "strong" }, r.label);
    head.append(sv("tspan", { fill: "var(--soft)", dx: 6 }, budget(r)));
    svg.append(head);
    for (const p of data.phases) if (r.seconds[p]) {
      svg.append(tip(sv("rect", { x, y, width: Math.max(0.5, r.seconds[p] * scale), height: 17, fill: `var(--c${PHASE_COLOUR[p]})` }), `${title(r)}\n${p}: ${span(r.seconds[p])}\nof ${span(sum(r))}`));
      x += r.seconds[p] * scale;
    }
    svg.append(word(x + 6, y + 13, span(sum(r))));
  });
  return fill(node, svg, el("div", { class: "legend" }, data.phases.filter((p) => known.some((r) => r.seconds[p])).map((p) => el("span", {}, sv("svg", { class: "mark", viewBox: "0 0 12 12" }, sv("rect", { width: 12, height: 12, rx: 2, fill: `var(--c${PHASE_COLOUR[p]})` })), p))), rest(every));
}

// ---- failures and provenance

function tableOf(heads, rows) {
  return el("div", { class: "scroll" }, el("table", { class: "wrap" }, el("thead", {}, el("tr", {}, heads.map((h) => el("th", { class: "name" }, h)))), el("tbody", {}, rows.map((r) => el("tr", {}, r.map((c) => el("td", { class: "name" }, c)))))));
}
const facts = (pairs) => el("dl", {}, pairs.filter(([, value]) => has(value) && value !== "").map(([name, value]) => [el("dt", {}, name), el("dd", {}, value)]));

function drawFailures() {
  const left = data.groups.flatMap((g) => g.left_out.map((entry) => [g.data, entry.key, entry.reason]));
  const unique = [...new Map(left.map((entry) => [entry.join("\n"), entry])).values()];
  fill(plotOf("failures"),
    data.failures.length ? tableOf(["status", "cell", "reason"], data.failures.map((f) => [status(f.status), [f.title, " ", el("code", {}, f.cell)], f.reason])) : nothing("Every recorded cell finished."),
    unique.length ? [el("h3", {}, `Clips left out of the data (${unique.length})`), tableOf(["data", "clip", "reason"], unique.slice(0, 200)), unique.length > 200 && nothing(`and ${unique.length - 200} more`)] : nothing("No clip was left out of the data."));
}

function drawProvenance(rows) {
  const g = data.groups[state.group], pairs = (object) => Object.entries(object || {}).map(([k, v]) => `${k} ${v}`).join(", ");
  fill(plotOf("provenance"), el("div", { class: "two" },
    el("div", {}, el("h3", {}, "Data"), facts([["dataset", g.data], ["classes", g.classes.length || ""], ["clips", has(g.train) ? `${g.train} train, ${g.test} ${g.judged_on}` : ""], ["clip", pairs(g.geometry)], ["fingerprint", el("code", {}, g.fingerprint)], ["pixels", g.digests.map((d) => el("code", {}, d, " "))], ["profile", g.profile], ["protocol", g.protocol], ["network", g.network]])),
    el("div", {}, data.environments.map((e) => [el("h3", {}, `Machine and versions of ${e.cells} cells`), facts([["suite", [e.bench, " ", el("code", {}, e.commit || "no commit")]], ["python", e.python], ["packages", pairs(e.packages)], ["system", [e.system, ", ", e.cpu, ", ", e.cores, " cores, ", e.threads, " threads"].join("")], ["device", e.device], ["processor", (e.processors || []).join("; then ")]])]))),
    el("h3", {}, "What each row ran with"),
    capped(rows).map((r) => el("details", {}, el("summary", {}, mark(r.method), title(r)), facts([["hyper-parameters", r.config && Object.keys(r.config).length ? Object.entries(r.config).map(([k, v]) => `${k}=${v}`).join(", ") : "none"], ["tuned", r.tuned ? "on the validation part of train" : ""], ["source", r.source && el("code", {}, r.source)], ["stored as", r.kind], ["tensors", Object.entries(r.tensors).map(([k, t]) => `${k} ${t.shape.join("x") || "1"} ${t.type}, ${size(t.bytes)}`).join("; ")], ["cells", el("code", {}, r.cells.join(" "))]]))), rest(rows));
}

// ---- the page

function drawSummary() {
  const s = data.summary, tiles = [[s.cells.toLocaleString("en"), "cells"], [s.finished.toLocaleString("en"), "finished"], [s.methods, "methods"], [s.datasets, s.datasets === 1 ? "dataset" : "datasets"], [s.trainings.toLocaleString("en"), "networks trained"], [span(s.seconds), "of work"]];
  fill($("summary"), tiles.map(([n, what]) => el("div", {}, el("b", {}, n), el("span", {}, what))));
}
const option = (value, text, chosen) => el("option", { value, ...(String(value) === String(chosen) ? { selected: "" } : {}) }, text);
function drawFilters() {
  const rows = ofGroup(), settings = new Map(rows.filter((r) => has(r.setting)).map((r) => [r.setting, r.setting_label]));
  const amounts = data.groups[state.group].amounts.filter((amount) => rows.some((r) => r.amount === amount));
  if (!amounts.includes(state.amount)) state.amount = "";
  if (!settings.has(state.setting)) state.setting = "";
  fill($("group"), data.groups.map((g, i) => option(i, [g.data, g.profile, g.protocol, g.network, ...(g.judged_on === "test" ? [] : ["judged on " + g.judged_on])].join(" · "), state.group)));
  fill($("amount"), option("", "all", state.amount), amounts.map((text) => option(text, text, state.amount)));
  fill($("setting"), option("", "all", state.setting), [...settings].map(([value, text]) => option(value, text, state.setting)));
  const g = data.groups[state.group];
  $("context").textContent = [has(g.train) ? `${g.train} training and ${g.test} ${g.judged_on} clips of ${g.classes.length} classes` : "", `${g.geometry.frames || "?"} frames of ${g.geometry.size || "?"} pixels`, has(g.chance) ? `chance ${points(g.chance)} %` : "", has(g.majority) ? `largest class ${points(g.majority)} %` : "", data.summary.last ? `recorded ${data.summary.first === data.summary.last ? data.summary.last : data.summary.first + " to " + data.summary.last}` : ""].filter(Boolean).join(" · ");
}
function draw() {
  const rows = shown();
  drawTable(rows); drawComparisons(); drawBytes(rows); drawTaxonomy(shown("setting")); drawProbes(rows); drawClasses(rows); drawClips(rows); drawLosses(rows); drawCosts(rows); drawProvenance(rows);
}
function pick(id, go) {
  state.row = id;
  for (const node of document.querySelectorAll("[data-row]")) node.classList.toggle("on", Number(node.dataset.row) === id);
  drawClasses(shown());
  if (go && data.rows[id].confusion.length) $("classes").scrollIntoView({ behavior: matchMedia("(prefers-reduced-motion: reduce)").matches ? "auto" : "smooth" });
}
function theme(name) {
  document.documentElement.dataset.theme = name;
  $("theme").textContent = name === "dark" ? "☀ light" : "☾ dark";
}
function remembered(value) { // a page opened from a file may not have a store
  try { if (value) localStorage.setItem("bench-theme", value); return localStorage.getItem("bench-theme"); } catch { return null; }
}
function play(on) {
  state.playing = on;
  $("clips").classList.toggle("paused", !on);
  $("play").textContent = on ? "❚❚ pause" : "▶ play";
}

const dark = matchMedia("(prefers-color-scheme: dark)");
theme(remembered() || (dark.matches ? "dark" : "light"));
dark.addEventListener("change", (e) => { if (!remembered()) theme(e.matches ? "dark" : "light"); });
$("theme").addEventListener("click", () => { const name = document.documentElement.dataset.theme === "dark" ? "light" : "dark"; theme(name); remembered(name); });
$("play").addEventListener("click", () => play(!state.playing));
play(!matchMedia("(prefers-reduced-motion: reduce)").matches);
$("filters").addEventListener("submit", (e) => e.preventDefault());
$("group").addEventListener("change", (e) => { state.group = Number(e.target.value); state.row = null; drawFilters(); draw(); });
for (const name of ["amount", "setting"]) $(name).addEventListener("change", (e) => { state[name] = e.target.value; draw(); });
$("query").addEventListener("input", (e) => { state.query = e.target.value; draw(); });
$("row").addEventListener("change", (e) => pick(Number(e.target.value), false));
addEventListener("scroll", () => { $("tip").hidden = true; }, { passive: true });
let drawn = innerWidth, waiting = 0;
addEventListener("resize", () => { clearTimeout(waiting); waiting = setTimeout(() => { if (innerWidth !== drawn) { drawn = innerWidth; draw(); } }, 120); });
const weight = (i) => (data.groups[i].judged_on === "test" ? 1e6 : 0) + data.rows.filter((r) => r.group === i).length;
state.group = data.groups.map((_, i) => i).reduce((a, b) => weight(b) > weight(a) ? b : a, 0);
$("legend").textContent = data.legend;
drawSummary(); drawFilters(); drawFailures(); draw();
})();
