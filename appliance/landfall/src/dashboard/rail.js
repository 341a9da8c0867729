// What stands beside the machines: alarms, jobs, servers, the retention volume, scrubs.
import { bar, bytes, command, health, jobState, make, millis, percent, sentence, span, state, time, verdict } from "./words.js";

/** Alarms that are shown. */
const ALARMS = 8;

/** Turns looks at jobs into rates: bytes a second since the look before. */
export class Rates {
  #looks = new Map();

  rate(job, now) {
    const before = this.#looks.get(job.id);
    if (!before || now - before.at > 1000) this.#looks.set(job.id, { at: now, done: job.done_bytes, rate: before ? (1000 * (job.done_bytes - before.done)) / (now - before.at) : null });
    return this.#looks.get(job.id).rate;
  }
}

export function jobs(list, now, rates) {
  if (list.length === 0) return [make("div", { class: "quiet" }, "no jobs")];
  return list.slice(0, 8).map((job) => {
    const running = job.state === "running";
    const took = ((job.ended ? millis(job.ended) : now) - millis(job.started)) / 1000;
    const rate = running ? rates.rate(job, now) : null;
    const left = rate > 0 ? `, ${span((job.total_bytes - job.done_bytes) / rate)} left` : "";
    const pace = rate === null ? "" : `, ${bytes(rate)}/s${left}`;
    return make("div", { class: "item", "data-job": job.id },
      make("div", { class: "row" }, make("strong", {}, `#${job.id} ${job.kind}`), job.machine, jobState(job.state)),
      running ? bar(job.done_bytes, job.total_bytes) : null,
      make("div", { class: "quiet" }, running ? `${percent(job.done_bytes, job.total_bytes)} of ${bytes(job.total_bytes)}${pace}, for ${span(took)}` : `${time(job.ended)}, took ${span(took)}`),
      job.error ? make("div", {}, `${job.error.what}: ${job.error.cause} (${job.error.code}). `, make("span", { class: "quiet" }, job.error.fix)) : null,
      (job.outcome?.disks ?? []).map((proof) => make("div", { class: "row" }, `disk ${proof.disk}`, verdict(proof.verdict))),
      running ? command(`landfall job watch ${job.id}`) : null);
  });
}

/** What is not well, and what was not and nobody has taken note of; open ones first. */
export function alarms(list) {
  if (!list) return [make("div", { class: "quiet" }, "kept by the configuration server")];
  if (list.length === 0) return [make("span", { class: "state good", "data-mark": "●" }, "none")];
  const open = (alarm) => alarm.acked_by === null;
  const sorted = [...list].sort((a, b) => open(b) - open(a));
  const more = sorted.length - ALARMS;
  return [
    ...sorted.slice(0, ALARMS).map((alarm) => make("div", { class: "item", "data-alarm": `${alarm.kind}/${alarm.subject}` },
      make("div", { class: "row" }, make("strong", {}, alarm.kind), alarm.subject, alarm.cleared ? make("span", { class: "state", "data-mark": "○" }, "over") : health(alarm.severity)),
      make("div", {}, ...sentence(alarm.what)),
      make("div", { class: "quiet" }, `for ${span((millis(alarm.cleared ?? alarm.last_seen) - millis(alarm.first_seen)) / 1000)} since ${time(alarm.first_seen)}`, open(alarm) ? "" : `, noted by ${alarm.acked_by}`))),
    more > 0 ? make("div", { class: "quiet" }, `and ${more} more`) : null,
    sorted.some(open) ? command("landfall alarm ack --all") : null,
  ];
}

const HEARTBEATS = { alive: ["good", "●"], suspect: ["warn", "◔"], lost: ["bad", "✖"], revoked: ["bad", "–"], enrolled: ["good", "="] };

/** Who belongs: whether it is heard, and how long its certificate lasts. */
export function servers(list, now) {
  if (!list) return [make("div", { class: "quiet" }, "kept by the configuration server")];
  return list.map((server) => {
    const heard = server.heartbeat;
    const word = server.certificate === null ? "revoked" : heard?.state ?? "enrolled";
    const ends = server.expires === null ? "no certificate counts" : `certificate for ${span((millis(server.expires) - now) / 1000)} more`;
    const silent = heard ? `, heard ${span(heard.silent_seconds)} ago` : "";
    return make("div", { class: "item", "data-server": `${server.role}/${server.name}` },
      make("div", { class: "row" }, make("strong", {}, server.name), make("span", { class: "quiet" }, server.role), state(HEARTBEATS, word)),
      make("div", { class: "quiet" }, `${ends}${silent}`),
      heard?.cause ? make("div", {}, heard.cause) : null);
  });
}

export function volume(use) {
  const free = use.capacity_bytes ? use.free_bytes / use.capacity_bytes : 0;
  const tone = free < 0.1 ? "bad" : free < 0.25 ? "warn" : "good";
  return [
    bar(use.capacity_bytes - use.free_bytes, use.capacity_bytes, tone),
    make("div", { class: "row" }, make("span", {}, `${bytes(use.free_bytes)} free of ${bytes(use.capacity_bytes)}`), percent(use.free_bytes, use.capacity_bytes)),
    make("div", { class: "quiet" }, `${bytes(use.journal_bytes)} of history on ${use.path}`),
  ];
}

export function scrubs(machines) {
  const known = machines.filter((machine) => machine.scrub);
  if (known.length === 0) return [make("div", { class: "quiet" }, "nothing was scrubbed yet")];
  const running = known.filter((machine) => machine.scrub.state === "running");
  const found = known.filter((machine) => machine.scrub.last?.found > 0 || machine.damage.length > 0);
  const oldest = Math.max(...known.map((machine) => machine.scrub.age_seconds ?? -1));
  return [
    ...running.map((machine) => make("div", { class: "item" },
      make("div", { class: "row" }, machine.name, percent(machine.scrub.done_bytes, machine.scrub.total_bytes)),
      bar(machine.scrub.done_bytes, machine.scrub.total_bytes),
      make("div", { class: "quiet" }, `${bytes(machine.scrub.rate)}/s, ${machine.scrub.eta_seconds === null ? "end not known" : `${span(machine.scrub.eta_seconds)} left`}`))),
    make("div", { class: "item" }, found.length ? make("span", { class: "state bad", "data-mark": "✖" }, `damage: ${found.map((machine) => machine.name).join(", ")}`) : make("span", { class: "state good", "data-mark": "●" }, "no damage found")),
    make("div", { class: "quiet" }, oldest >= 0 ? `the oldest scrub ended ${span(oldest)} ago` : "no scrub has ended yet"),
  ];
}
