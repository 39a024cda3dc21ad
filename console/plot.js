// Line graphs as SVG, with a cursor that reads all series, and drag to zoom.
const svg = (name, attributes = {}, ...children) => {
  const e = document.createElementNS("http://www.w3.org/2000/svg", name);
  for (const [k, v] of Object.entries(attributes)) e.setAttribute(k, v);
  e.append(...children);
  return e;
};

export const short = (v) => {
  if (v === null || v === undefined || Number.isNaN(v)) return "–";
  const a = Math.abs(v);
  if (a >= 1e9) return (v / 1e9).toFixed(1) + " G";
  if (a >= 1e6) return (v / 1e6).toFixed(1) + " M";
  if (a >= 1e4) return (v / 1e3).toFixed(1) + " k";
  if (a >= 100 || Number.isInteger(v)) return String(Math.round(v * 10) / 10);
  return String(Number(v.toPrecision(3)));
};

const nice = (span, count) => {
  const raw = span / count || 1, power = 10 ** Math.floor(Math.log10(raw));
  return [1, 2, 2.5, 5, 10].map((m) => m * power).find((s) => s >= raw) || raw;
};

const clock = (t, span) => {
  const d = new Date(t);
  if (span > 2 * 86400e3) return d.toLocaleDateString(undefined, { month: "short", day: "numeric" });
  return d.toLocaleTimeString(undefined, { hour: "2-digit", minute: "2-digit", second: span < 600e3 ? "2-digit" : undefined });
};

// series: [{label, points: [[ms, value]]}]
export function plot(host, { series, start, end, limits = [], onZoom, period = 60, name = "Graph" }) {
  host.replaceChildren();
  const shown = series.filter((s) => s.points.length);
  if (!shown.length && !limits.length) {
    const e = document.createElement("div");
    e.className = "empty";
    e.textContent = "No data in this time";
    host.append(e);
    return;
  }
  const width = Math.max(host.clientWidth, 240), height = Math.max(host.clientHeight, 90);
  const left = 46, right = 8, top = 8, bottom = 20;
  const values = shown.flatMap((s) => s.points.map((p) => p[1])).concat(limits.map((l) => l.value));
  let low = Math.min(0, ...values), high = Math.max(...values);
  if (high === low) high = low + 1;
  const step = nice(high - low, Math.max(2, Math.floor(height / 48)));
  high = Math.ceil(high / step + 1e-9) * step;
  low = Math.floor(low / step) * step;
  const x = (t) => left + ((t - start) / (end - start)) * (width - left - right);
  const y = (v) => top + ((high - v) / (high - low)) * (height - top - bottom);
  const root = svg("svg", { viewBox: `0 0 ${width} ${height}`, role: "img", "aria-label": `${name}: ${shown.map((s) => `${s.label} now ${short(s.points.at(-1)[1])}`).join(", ")}` });
  for (let v = low; v <= high + step / 2; v += step) {
    root.append(svg("line", { class: "axis", x1: left, x2: width - right, y1: y(v), y2: y(v) }));
    root.append(svg("text", { x: left - 6, y: y(v) + 4, "text-anchor": "end" }, short(Math.abs(v) < step / 1e6 ? 0 : v)));
  }
  const ticks = Math.max(2, Math.floor((width - left) / 110));
  for (let i = 0; i <= ticks; i++) {
    const t = start + ((end - start) * i) / ticks;
    root.append(svg("text", { x: x(t), y: height - 5, "text-anchor": i === 0 ? "start" : i === ticks ? "end" : "middle" }, clock(t, end - start)));
  }
  for (const l of limits) {
    root.append(svg("line", { class: "limit", x1: left, x2: width - right, y1: y(l.value), y2: y(l.value) }));
    if (l.label) root.append(svg("text", { x: left + 4, y: y(l.value) - 4 }, l.label));
  }
  shown.forEach((s, i) => {
    const color = `var(--s${(i % 8) + 1})`;
    let d = "", before = null;
    for (const [t, v] of s.points) {
      // A gap of more than three periods is a gap.
      d += `${before === null || t - before > 3.5 * period * 1000 ? "M" : "L"}${x(t).toFixed(1)} ${y(v).toFixed(1)}`;
      before = t;
    }
    root.append(svg("path", { class: "line", d, stroke: color }));
    s.points.forEach(([t, v], k) => {
      const alone = (k === 0 || t - s.points[k - 1][0] > 3.5 * period * 1000) && (k === s.points.length - 1 || s.points[k + 1][0] - t > 3.5 * period * 1000);
      if (alone) root.append(svg("circle", { cx: x(t), cy: y(v), r: 2.4, fill: color }));
    });
  });
  const cursor = svg("line", { class: "cursor", y1: top, y2: height - bottom, visibility: "hidden" });
  const zone = svg("rect", { y: top, height: height - top - bottom, fill: "var(--brand)", opacity: 0.15, visibility: "hidden" });
  root.append(zone, cursor);
  host.append(root);
  const tip = document.createElement("div");
  tip.className = "tip";
  tip.hidden = true;
  host.append(tip);
  const at = (event) => {
    const box = root.getBoundingClientRect();
    const px = ((event.clientX - box.left) / box.width) * width;
    return { px: Math.min(Math.max(px, left), width - right), t: start + ((Math.min(Math.max(px, left), width - right) - left) / (width - left - right)) * (end - start) };
  };
  let from = null;
  root.addEventListener("pointerdown", (e) => { from = at(e); });
  root.addEventListener("pointermove", (e) => {
    const { px, t } = at(e);
    cursor.setAttribute("x1", px);
    cursor.setAttribute("x2", px);
    cursor.setAttribute("visibility", "visible");
    if (from && Math.abs(px - from.px) > 4) {
      zone.setAttribute("x", Math.min(px, from.px));
      zone.setAttribute("width", Math.abs(px - from.px));
      zone.setAttribute("visibility", "visible");
    }
    tip.replaceChildren();
    const when = document.createElement("div");
    when.className = "quiet";
    when.textContent = new Date(t).toLocaleString();
    tip.append(when);
    shown.forEach((s, i) => {
      let best = null;
      for (const p of s.points) if (best === null || Math.abs(p[0] - t) < Math.abs(best[0] - t)) best = p;
      if (!best || Math.abs(best[0] - t) > 3 * period * 1000) return;
      const line = document.createElement("div"), dot = document.createElement("i");
      dot.style.cssText = `display:inline-block;width:.7em;height:.7em;border-radius:3px;margin-right:.4em;background:var(--s${(i % 8) + 1})`;
      line.append(dot, `${s.label}: ${short(best[1])}`);
      tip.append(line);
    });
    tip.hidden = false;
    const box = host.getBoundingClientRect();
    const leftSide = e.clientX - box.left > box.width / 2;
    tip.style.left = leftSide ? "auto" : `${e.clientX - box.left + 14}px`;
    tip.style.right = leftSide ? `${box.right - e.clientX + 14}px` : "auto";
    tip.style.top = "6px";
  });
  root.addEventListener("pointerleave", () => {
    cursor.setAttribute("visibility", "hidden");
    tip.hidden = true;
  });
  root.addEventListener("pointerup", (e) => {
    const to = at(e);
    if (from && onZoom && Math.abs(to.px - from.px) > 8) onZoom(Math.min(from.t, to.t), Math.max(from.t, to.t));
    from = null;
    zone.setAttribute("visibility", "hidden");
  });
}
