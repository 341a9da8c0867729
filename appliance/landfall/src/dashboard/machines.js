// The machines: all of them in a table, one of them in full.
import { bar, bytes, make, millis, phase, sentence, span, sum, time, verdict } from "./words.js";
import { rpoChart, timeline } from "./charts.js";

const ORDER = ["failed", "damaged", "rewinding", "rewound", "resyncing", "seeding", "protected", "committed"];
const WORSE = { failed: -20, degraded: -10, healthy: 0 };
/** In these phases no new point is expected. */
const STANDING = ["rewinding", "rewound", "committed"];

const late = (machine) => machine.rpo_seconds > machine.keeping.policy.rpo_seconds && !STANDING.includes(machine.phase);

/** How a machine is, by what the appliance is concerned about. */
export function healthOf(machine, concerns) {
  const own = concerns.filter((concern) => concern.machine === machine.name).map((concern) => concern.health);
  return own.includes("failed") ? "failed" : own.length > 0 ? "degraded" : "healthy";
}

/** Worst first, then by name. */
export function sorted({ machines, concerns }) {
  const rank = (machine) => ORDER.indexOf(machine.phase) + WORSE[healthOf(machine, concerns)];
  return [...machines].sort((a, b) => rank(a) - rank(b) || a.name.localeCompare(b.name));
}

const window_ = (machine) => (machine.oldest && machine.newest ? (millis(machine.newest.time) - millis(machine.oldest.time)) / 1000 : null);

export function table(machines, chosen, choose) {
  const heads = ["Machine", "Phase", "RPO", "History", "Left at this churn", "Behind", "Source", "Job"];
  const numbers = new Set([2, 5]);
  const head = heads.map((word, at) => make("th", { class: numbers.has(at) ? "number" : null, scope: "col" }, word));
  const rows = machines.map((machine) => row(machine, machine.name === chosen, choose));
  return make("table", {}, make("thead", {}, make("tr", {}, head)), make("tbody", {}, rows));
}

function row(machine, selected, choose) {
  const policy = machine.keeping.policy;
  const reach = window_(machine);
  const cells = [
    make("button", { type: "button" }, machine.name),
    phase(machine),
    make("span", { class: late(machine) ? "over" : null, title: `at most ${span(policy.rpo_seconds)} is well` }, span(machine.rpo_seconds)),
    reach === null ? "–" : make("span", {}, bar(reach, policy.window_seconds, "good"), `${span(reach)} of ${span(policy.window_seconds)}`),
    machine.newest ? span(machine.keeping.history_left_seconds) : "–",
    bytes(machine.lag_bytes),
    machine.session.connected ? machine.session.peer ?? "connected" : make("span", { class: machine.phase === "committed" ? "quiet" : "over" }, "not connected"),
    machine.job === null ? "" : `#${machine.job}`,
  ];
  const numbers = new Set([2, 5]);
  const row = make("tr", { "data-machine": machine.name, "aria-selected": String(selected) }, cells.map((cell, at) => make("td", { class: numbers.has(at) ? "number" : null }, cell)));
  row.addEventListener("click", () => choose(machine.name));
  return row;
}

/** One machine in full; `points` may not be there yet. */
export function sheet(machine, points, proof, now) {
  const facts = [
    ["newest point", point(machine.newest)],
    ["oldest point", point(machine.oldest)],
    ["durable, applied", `#${machine.durable}, #${machine.applied}`],
    ["generation", String(machine.generation)],
    ["disks", `${machine.disks.length}, ${bytes(sum(machine.disks, "len_bytes"))}`],
    ["source", source(machine.session)],
    ["churn", machine.keeping.churn_bytes_per_hour === null ? "–" : `${bytes(machine.keeping.churn_bytes_per_hour)} an hour`],
    ["application point", machine.keeping.application_age_seconds === null ? "–" : `${span(machine.keeping.application_age_seconds)} old`],
  ];
  if (machine.at) facts.push(["stands at", point(machine.at)]);
  if (proof) facts.push(["last proof", make("span", {}, ...proof.verdicts.map((word) => verdict(word)), ` job ${proof.job}, ${time(proof.at)}`)]);
  const troubles = [
    machine.problem,
    ...machine.disks.filter((disk) => disk.problem).map((disk) => `${disk.path}: ${disk.problem}`),
    machine.keeping.paused,
    machine.keeping.shrunk,
    ...machine.damage.map((range) => `disk ${range.disk}: ${bytes(range.len_bytes)} at ${range.start_bytes} are damaged (${range.place}); whole points: ${range.before ?? "none"} before, ${range.after ?? "none"} after`),
  ].filter(Boolean);
  return [
    make("h2", {}, machine.name, " ", phase(machine)),
    ...troubles.map((trouble) => make("div", { class: "item" }, make("span", { class: "state bad", "data-mark": "✖" }, "trouble"), " ", trouble)),
    machine.next ? make("div", { class: "item" }, make("span", { class: "quiet" }, "next: "), ...sentence(machine.next)) : null,
    make("dl", {}, facts.flatMap(([word, value]) => [make("dt", {}, word), make("dd", {}, value)])),
    ...(points ? history(machine, points, now) : []),
  ];
}

function history(machine, points, now) {
  const seconds = machine.keeping.policy.window_seconds || 86400;
  const oldest = machine.oldest ? millis(machine.oldest.time) : now;
  // A history that is still short is drawn large.
  const from = Math.max(now - seconds * 1000, Math.min(oldest, now - 600000) - (now - oldest) * 0.02);
  const few = points.points.length < points.total ? ` – the newest ${points.points.length} of ${points.total} points` : "";
  const legend = [["--work", "crash-consistent"], ["--good", "application-consistent, ▼ pinned"], ["--soft", "fuzzy"], ["--bad", "spoilt"], ["--warn", "gap"]];
  return [
    make("h3", {}, `RPO over time, threshold ${span(machine.keeping.policy.rpo_seconds)}`),
    rpoChart(points.points, from, now, machine.keeping.policy.rpo_seconds),
    make("h3", {}, `History${few}`),
    timeline(points, machine, from, now),
    make("div", { class: "legend" }, legend.map(([colour, word]) => make("span", {}, make("i", { style: `background:var(${colour})` }), word))),
  ];
}

const point = (point) => (point ? `#${point.sequence}, ${time(point.time)}, ${point.consistency}` : "–");
const source = (session) =>
  session.connected ? `${session.peer ?? "connected"}, ${session.connections} connections since ${time(session.since)}` : `not connected${session.since ? ` since ${time(session.since)}` : ""}`;
