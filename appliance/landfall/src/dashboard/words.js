// Words and numbers as the command line writes them.

export const PHASES = {
  seeding: ["work", "◔", "being filled for the first time"],
  protected: ["good", "●", "every round adds a recovery point"],
  resyncing: ["work", "◑", "compared with its source; what differs is sent"],
  rewinding: ["work", "◀", "its target disks are being brought to another point"],
  rewound: ["warn", "◆", "stands at a chosen point; commit or cancel"],
  committed: ["good", "■", "the point was accepted; nothing is replicated any more"],
  damaged: ["bad", "✖", "its journal is damaged"],
  failed: ["bad", "✖", "a device failed; it is out until somebody acts"],
};
export const HEALTH = { healthy: ["good", "●"], degraded: ["warn", "▲"], failed: ["bad", "✖"] };
const STATES = { running: ["work", "◔"], done: ["good", "●"], failed: ["bad", "✖"] };
const VERDICTS = { identical: ["good", "="], different: ["bad", "≠"], not_given: ["warn", "?"] };
const UNITS = ["B", "KiB", "MiB", "GiB", "TiB", "PiB"];

/** An element with attributes and children; texts are only ever texts. */
export function make(name, attributes = {}, ...children) {
  const svg = ["svg", "g", "rect", "line", "path", "text", "polygon", "title", "circle"].includes(name);
  const element = svg ? document.createElementNS("http://www.w3.org/2000/svg", name) : document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) {
    if (key.startsWith("on")) element.addEventListener(key.slice(2), value);
    else if (value !== null && value !== undefined && value !== false) element.setAttribute(key, value);
  }
  element.append(...children.flat().filter((child) => child !== null && child !== undefined));
  return element;
}

export const state = (words, word, text = word) => {
  const [tone, mark] = words[word] ?? ["warn", "?"];
  return make("span", { class: `state ${tone}`, "data-mark": mark, title: words[word]?.[2] }, text.replaceAll("_", " "));
};
export const phase = (machine) => state(PHASES, machine.phase, machine.phase + phasePart(machine));
export const health = (word) => state(HEALTH, word);
export const jobState = (word) => state(STATES, word);
export const verdict = (word) => state(VERDICTS, word);

function phasePart(machine) {
  if (machine.resync) return ` ${percent(machine.resync.compared_bytes, machine.resync.total_bytes)}`;
  if (machine.phase !== "seeding") return "";
  const total = sum(machine.disks, "protected_bytes");
  return total ? ` ${percent(sum(machine.disks, "seeded_bytes"), total)}` : "";
}

export const sum = (list, field) => list.reduce((all, one) => all + (one[field] ?? 0), 0);
export const percent = (part, whole) => (whole ? `${Math.floor((100 * part) / whole)} %` : "–");

export function bytes(count) {
  let unit = 0;
  while (count >= 1024 && unit < UNITS.length - 1) [count, unit] = [count / 1024, unit + 1];
  return `${unit && count < 100 ? count.toFixed(1) : Math.round(count)} ${UNITS[unit]}`;
}

/** A span of seconds in its two largest units. */
export function span(seconds) {
  if (seconds === null || seconds === undefined) return "–";
  const parts = [["d", 86400], ["h", 3600], ["min", 60], ["s", 1]];
  const first = Math.max(0, parts.findIndex(([, size]) => seconds >= size));
  if (seconds < 1) return "0 s";
  const words = [];
  for (const [word, size] of parts.slice(first, first + 2)) {
    const count = Math.floor(seconds / size);
    seconds -= count * size;
    if (count) words.push(`${count} ${word}`);
  }
  return words.join(" ");
}

export const time = (text) => (text ? text.replace("T", " ").replace(/(\.\d+)?Z$/, " UTC") : "–");
export const millis = (text) => Date.parse(text);

/** A sentence whose `commands` can be copied. */
export function sentence(text) {
  return text.split("`").map((part, index) => (index % 2 ? command(part) : part));
}

export function command(line) {
  const copy = make("button", { type: "button", title: "Copy", "aria-label": `Copy ${line}` }, "copy");
  copy.addEventListener("click", async (event) => {
    event.stopPropagation();
    await navigator.clipboard.writeText(line);
    copy.textContent = "copied";
    setTimeout(() => (copy.textContent = "copy"), 1500);
  });
  return make("span", { class: "command" }, make("code", {}, line), copy);
}

export function bar(part, whole, tone = "") {
  const width = whole ? Math.min(100, (100 * part) / whole) : 0;
  return make("span", { class: `bar ${tone}` }, make("i", { style: `width:${width}%` }));
}
