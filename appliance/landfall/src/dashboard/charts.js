// Two charts of one machine on one axis of time: the RPO as it was, and the history as it is.
import { make, millis, span, time } from "./words.js";

const WIDTH = 900;
const LEFT = 46;
const PLOT = WIDTH - LEFT - 8;

/** Seconds without a new point, as they were between points and are now. */
export function rpoSteps(points, now) {
  const times = points.map((point) => millis(point.time)).sort((a, b) => a - b);
  return times.map((at, index) => ({ from: at, to: times[index + 1] ?? now })).filter(({ from, to }) => to > from);
}

export function rpoChart(points, from, now, threshold) {
  const height = 96;
  const steps = rpoSteps(points, now).filter(({ to }) => to >= from);
  const most = Math.max(threshold * 1.5, ...steps.map(({ from, to }) => (to - from) / 1000));
  const x = scale(from, now);
  const y = (seconds) => 4 + (height - 20) * (1 - seconds / most);
  const teeth = steps.map((step) => {
    const start = Math.max(step.from, from);
    const [rise, late] = [(step.to - step.from) / 1000, step.to - step.from > threshold * 1000];
    const corners = [[start, 0], [start, (start - step.from) / 1000], [step.to, rise], [step.to, 0]];
    const line = corners.map(([at, seconds]) => `${x(at).toFixed(1)},${y(seconds).toFixed(1)}`).join(" ");
    return make("polygon", { points: line, class: late ? "late" : "rpo" }, make("title", {}, `${span(rise)} until ${time(new Date(step.to).toISOString())}`));
  });
  return chart(height, "RPO over time", [
    ...teeth,
    make("line", { class: "limit", x1: LEFT, x2: LEFT + PLOT, y1: y(threshold), y2: y(threshold) }),
    make("text", { x: 0, y: y(threshold) + 3 }, span(threshold)),
    make("text", { x: 0, y: 10 }, most > threshold * 1.6 ? span(most) : ""),
    ...axis(from, now, height),
  ]);
}

export function timeline(points, machine, from, now) {
  const [height, top, tall] = [74, 16, 34];
  const x = scale(from, now);
  const oldest = machine.oldest ? millis(machine.oldest.time) : now;
  const drawn = points.points;
  const marks = thin(drawn, x).map((point) => {
    const kind = point.spoilt ? "spoilt" : point.consistency;
    const at = x(millis(point.time));
    const about = `#${point.sequence} ${time(point.time)}, ${kind}${point.label ? `, ${point.label}` : ""}`;
    return make("line", { class: kind, x1: at, x2: at, y1: top + (kind === "application" ? -5 : 4), y2: top + tall }, make("title", {}, about));
  });
  const block = (kind, begin, end, about) => {
    const [left, right] = [x(Math.max(begin, from)), x(Math.max(end, from))];
    return make("rect", { class: kind, x: left, y: top, width: Math.max(1, right - left), height: tall }, make("title", {}, about));
  };
  const flag = (kind, at, sign) => make("text", { class: kind, x: x(at) - 4, y: 9 }, sign);
  return chart(height, "History", [
    block("absent", from, now, "no history"),
    block("kept", oldest, now, "history that is kept"),
    ...points.gaps.map((gap) => block("gap", millis(gap.from), millis(gap.to), `${gap.kind}: ${span((millis(gap.to) - millis(gap.from)) / 1000)} without a point`)),
    ...marks,
    ...points.pins.map((pin) => flag("pin", millis(pin.point.time), "▼")),
    ...(machine.at ? [flag("at", millis(machine.at.time), "◆")] : []),
    ...axis(from, now, height),
  ]);
}

const scale = (from, now) => (at) => LEFT + (PLOT * (Math.min(at, now) - from)) / Math.max(1, now - from);

/** At most one point for each pixel; application-consistent ones and spoilt ones go before others. */
function thin(points, x) {
  const weight = { fuzzy: 0, crash: 1, application: 2 };
  const best = new Map();
  for (const point of points) {
    const at = Math.round(x(millis(point.time)));
    const rank = point.spoilt ? 3 : weight[point.consistency] ?? 1;
    if (at >= LEFT && (best.get(at)?.rank ?? -1) < rank) best.set(at, { rank, point });
  }
  return [...best.values()].map(({ point }) => point);
}

function axis(from, now, height) {
  const sizes = [60, 300, 900, 1800, 3600, 7200, 14400, 21600, 43200, 86400, 172800, 604800].map((seconds) => seconds * 1000);
  const size = sizes.find((size) => (now - from) / size <= 9) ?? sizes.at(-1);
  const ticks = [make("line", { class: "axis", x1: LEFT, x2: LEFT + PLOT, y1: height - 16, y2: height - 16 })];
  for (let at = Math.ceil(from / size) * size; at < now; at += size) {
    const [date, clock] = new Date(at).toISOString().split("T");
    const x = scale(from, now)(at);
    ticks.push(make("line", { class: "axis", x1: x, x2: x, y1: height - 16, y2: height - 12 }));
    if (x < WIDTH - 60) ticks.push(make("text", { x: x - 13, y: height - 2 }, size < 86400000 ? clock.slice(0, 5) : date.slice(5)));
  }
  ticks.push(make("text", { x: WIDTH - 26, y: height - 2 }, "now"));
  return ticks;
}

function chart(height, name, children) {
  return make("svg", { class: "chart", viewBox: `0 0 ${WIDTH} ${height}`, role: "img", "aria-label": name }, children);
}
