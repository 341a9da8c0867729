// Asks the appliance every two seconds and draws what it says. Nothing is kept but what was chosen.
import { HEALTH, health, make, millis, sentence, span, time } from "./words.js";
import * as machines from "./machines.js";
import * as rail from "./rail.js";

const PAUSE = 2000;
const POINTS_PAUSE = 10000;
const STALE_AFTER = 10000;
const place = (id) => document.getElementById(id);
const put = (id, ...children) => place(id).replaceChildren(...children.flat().filter((child) => child !== null && child !== undefined));
const seen = { status: null, jobs: [], alarms: null, servers: null, points: null, at: 0, pointsAt: 0, chosen: decodeURIComponent(location.hash.slice(1)), problem: null };
const rates = new rail.Rates();

async function ask(path) {
  const response = await fetch(`/api/v1${path}`, { headers: { accept: "application/json" }, signal: AbortSignal.timeout(8000) });
  const said = await response.json();
  if (!response.ok) throw Object.assign(new Error(`${said.detail}: ${said.cause} (${said.code})`), { fix: said.fix });
  return said;
}

/** What not every appliance has: nothing where it is refused. */
const maybe = (path) => ask(path).catch(() => null);

async function look() {
  try {
    const [status, jobs, alarms, servers] = await Promise.all([ask("/status"), ask("/jobs"), maybe("/alarms"), maybe("/servers")]);
    Object.assign(seen, { status, jobs: jobs.jobs, alarms, servers, at: Date.now(), problem: null });
    const list = machines.sorted(status);
    if (!list.some((machine) => machine.name === seen.chosen)) seen.chosen = list[0]?.name ?? "";
    draw();
    await lookAtPoints();
  } catch (problem) {
    seen.problem = problem;
  }
  drawFreshness();
  setTimeout(look, PAUSE);
}

async function lookAtPoints() {
  if (!seen.chosen || (seen.points?.machine === seen.chosen && Date.now() - seen.pointsAt < POINTS_PAUSE)) return;
  const points = await ask(`/machines/${encodeURIComponent(seen.chosen)}/points?limit=3000`);
  Object.assign(seen, { points, pointsAt: Date.now() });
  drawMachine();
}

function choose(name) {
  history.replaceState(null, "", `#${encodeURIComponent(name)}`);
  seen.chosen = name;
  draw();
  lookAtPoints().catch((problem) => (seen.problem = problem));
}

function draw() {
  const { status } = seen;
  document.body.dataset.health = status.health;
  document.title = `${status.health} – Landfall`;
  const now = millis(status.time);
  put("health", ...health(status.health).childNodes);
  Object.assign(place("health"), { className: `state ${HEALTH[status.health][0]}` }).dataset.mark = HEALTH[status.health][1];
  const running = seen.jobs.filter((job) => job.state === "running").length;
  const well = status.machines.filter((machine) => machine.phase === "protected" && isWell(machine)).length;
  put("summary", `${count(status.machines.length, "machine")}, ${well} protected and well, ${count(running, "job")} under way`);
  put("appliance", `landfalld ${status.version} on ${status.listen}`);
  drawNext(status);
  drawMachines();
  drawMachine();
  put("alarms", rail.alarms(seen.alarms?.alarms));
  put("servers", rail.servers(seen.servers?.servers, now));
  put("jobs", rail.jobs(seen.jobs, now, rates));
  put("volume", rail.volume(status.volume));
  put("scrubs", rail.scrubs(status.machines));
}

function drawNext(status) {
  const step = (concern) => status.machines.find((machine) => machine.name === concern.machine)?.next;
  const concerns = status.concerns.map((concern) => make("li", {},
    health(concern.health),
    make("strong", {}, concern.machine ?? concern.server ?? "appliance"),
    make("span", {}, ...sentence(concern.what)),
    make("span", { class: "quiet" }, ...sentence(step(concern) ?? ""))));
  put("next",
    make("p", {}, ...(status.next ? [make("strong", {}, "Next: "), ...sentence(status.next)] : ["Nothing to do: all is well."])),
    concerns.length ? make("ul", {}, concerns) : null);
}

function drawMachines() {
  const [wanted, onlyUnwell] = [place("filter").value.trim().toLowerCase(), place("unwell").checked];
  const all = machines.sorted(seen.status);
  const list = all.filter((machine) => (!onlyUnwell || !isWell(machine)) && `${machine.name} ${machine.phase}`.includes(wanted));
  put("machines-count", list.length === all.length ? `${all.length}` : `${list.length} of ${all.length}`);
  put("machines", list.length ? machines.table(list, seen.chosen, choose) : make("div", { class: "quiet" }, all.length ? "none of them" : "no machines yet"));
}

function drawMachine() {
  const machine = seen.status.machines.find(({ name }) => name === seen.chosen);
  const points = seen.points?.machine === seen.chosen ? seen.points : null;
  const proved = seen.jobs.find((job) => job.machine === seen.chosen && job.outcome?.disks?.length > 0);
  const proof = proved && { job: proved.id, at: proved.ended, verdicts: proved.outcome.disks.map((disk) => disk.verdict) };
  place("machine").hidden = !machine;
  if (machine) put("machine", machines.sheet(machine, points, proof, millis(seen.status.time)));
}

function drawFreshness() {
  const age = Date.now() - seen.at;
  const stale = seen.problem !== null && (seen.at === 0 || age > STALE_AFTER);
  document.body.classList.toggle("stale", stale);
  put("fresh", seen.at === 0 ? "no answer yet" : `as of ${time(seen.status.time)}`);
  place("lost").hidden = !stale;
  if (!stale) return;
  const since = seen.at === 0 ? "The appliance does not answer." : `The appliance has not answered for ${span(age / 1000)}; what you see is from ${time(seen.status.time)}.`;
  put("lost", `${since} ${seen.problem.message}. `, ...sentence(seen.problem.fix ?? "Replication goes on without this page; try `landfall status`"));
}

const isWell = (machine) => machines.healthOf(machine, seen.status.concerns) === "healthy";
const count = (number, word) => `${number} ${word}${number === 1 ? "" : "s"}`;

place("filter").addEventListener("input", drawMachines);
place("unwell").addEventListener("change", drawMachines);
look();
