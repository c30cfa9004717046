"use strict";
// Shows /state, which the console writes anew every second. Whatever comes from there is set as text.

const EVERY_MS = 1000;
const PATIENCE_MS = 5000;
const MOST_MISSING = 5;

const byId = (id) => document.getElementById(id);
const whole = new Intl.NumberFormat("en");
const clock = (seconds) => new Date(seconds * 1000).toISOString().slice(11, 19);
const rate = (n) => (n === null ? "–" : `${n < 10 ? n.toFixed(1) : whole.format(Math.round(n))}/s`);
const bound = (seconds, some) => (seconds === null ? (some ? "off the scale" : "–") : seconds < 1 ? `≤ ${Math.round(seconds * 1000)} ms` : `≤ ${seconds} s`);
const percent = (share) => (share === null ? "–" : `${(share * 100).toFixed(share < 0.1 ? 2 : 1)} %`);

// What is there already is left alone, so that a reader or a selection is not disturbed.
function say(node, text) {
  if (node.textContent !== text) node.textContent = text;
}

function element(tag, className, text) {
  const node = document.createElement(tag);
  if (className) node.className = className;
  if (text !== undefined) node.textContent = text;
  return node;
}

// A text of a stranger's: apart from its surroundings in direction, whole in its title where it is cut.
function stranger({ shown, full }, tag = "bdi", className = "") {
  const node = element(tag, className, shown);
  if (full) node.title = full;
  return node;
}

function cell(text, className, tag = "td", role = "cell") {
  const node = element(tag, className, text);
  node.setAttribute("role", role);
  return node;
}

// Rows are made again only where what they show has changed.
function fill(list, items, key, make) {
  const there = new Map([...list.children].map((node) => [node.dataset.key, node]));
  const nodes = items.map((item) => {
    const name = key(item);
    const shown = JSON.stringify(item);
    const old = there.get(name);
    if (old && old.shown === shown) return old;
    const node = make(item);
    node.dataset.key = name;
    node.shown = shown;
    return node;
  });
  const wanted = new Set(nodes);
  for (const node of [...list.children]) if (!wanted.has(node)) node.remove();
  nodes.forEach((node, i) => {
    if (list.children[i] !== node) list.insertBefore(node, list.children[i] || null);
  });
}

function table(name, items, key, make) {
  const list = byId(`${name}-list`);
  list.closest("table").hidden = !items.length;
  byId(`no-${name}s`).hidden = items.length > 0;
  fill(list, items, key, make);
}

function ruleRow(rule, detectors) {
  const row = element("tr");
  row.setAttribute("role", "row");
  const name = cell(undefined, "", "th", "rowheader");
  name.scope = "row";
  name.append(stranger(rule.name));
  if (rule.message.shown) name.append(stranger(rule.message, "span", "message"));
  const fine = ["Ready", "Disabled", "Warming"].includes(rule.state);
  const lacking = rule.in_force < detectors && rule.state !== "Invalid";
  const where = `${rule.in_force} of ${detectors}${rule.versions > 1 ? `, ${rule.versions} versions` : ""}`;
  row.append(
    name,
    cell(rule.mode),
    cell(rule.state, fine ? "" : "bad"),
    cell(whole.format(rule.matches), "number"),
    cell(whole.format(rule.errors), rule.errors ? "number bad" : "number"),
    cell(where, lacking || rule.versions > 1 ? "bad" : ""),
  );
  ["", "", "", "matches", "errors", "in force on"].forEach((label, i) => {
    if (label) row.children[i].dataset.name = label;
  });
  return row;
}

function detectorRow(detector) {
  const row = element("tr");
  const name = element("th", "address", detector.address);
  name.scope = "row";
  const ruleset = element("td");
  ruleset.append(element("code", "", detector.ruleset.slice(0, 8) || "–"));
  row.append(
    name,
    element("td", detector.answers ? "" : "bad", detector.answers ? "yes" : `no, since ${clock(detector.since)}: ${detector.said}`),
    element("td", "number", detector.answers && detector.lag !== null ? whole.format(detector.lag) : "–"),
    ruleset,
  );
  return row;
}

function deadLetterRow(counted) {
  const row = element("tr");
  const reason = element("th");
  reason.scope = "row";
  reason.append(stranger(counted.reason));
  row.append(reason, element("td", "number", whole.format(counted.count)));
  return row;
}

function fraudItem(fraud) {
  const item = element("li", "fresh");
  const what = element("p", "what");
  const at = element("time", "", clock(fraud.at));
  at.dateTime = new Date(fraud.at * 1000).toISOString();
  const payment = element("span");
  payment.append(at, " ", stranger(fraud.money, "bdi", "money"));
  what.append(payment);
  if (fraud.score !== null) what.append(" ", element("span", "score", `score ${whole.format(fraud.score)}`));
  if (fraud.source.shown) {
    const who = element("span", "who");
    who.append("from ", stranger(fraud.source), " to ", stranger(fraud.target));
    what.append(" ", who);
  }
  item.append(what);
  if (fraud.score === null) item.append(element("p", "why", "Without an explanation that can be read."));
  for (const reason of fraud.reasons) item.append(why(reason));
  if (fraud.more_reasons) item.append(element("p", "why", `and ${whole.format(fraud.more_reasons)} more rules`));
  return item;
}

function why(reason) {
  const node = element("p", "why");
  node.append(stranger(reason.rule, "bdi", "rule"));
  if (reason.description.shown) node.append(": ", stranger(reason.description));
  node.append(" ");
  for (const told of reason.told) node.append(stranger(told, "bdi", "told"), " ");
  const code = element("span", "code");
  code.append(stranger(reason.code), ` (${reason.effect})`);
  node.append(code);
  return node;
}

function show(state) {
  const { rates, totals } = state;
  say(byId("seen"), `as of ${clock(state.at)}`);
  say(byId("window"), String(state.window));
  say(byId("transactions"), rate(rates.transactions));
  say(byId("judged"), `${whole.format(totals.legit + totals.fraud)} judged`);
  say(byId("share"), percent(rates.share));
  say(byId("fraud"), `${rate(rates.fraud)}, ${whole.format(totals.fraud)} in all`);
  say(byId("p99"), bound(rates.p99, rates.share !== null));
  say(byId("p50"), `p50 ${bound(rates.p50, rates.share !== null)}`);
  say(byId("lag"), state.lag === null ? "–" : whole.format(state.lag));
  say(byId("answering"), `${state.answering} of ${state.detectors.length}`);
  byId("no-frauds").hidden = state.frauds.length > 0;
  fill(byId("fraud-list"), state.frauds, (fraud) => fraud.id, fraudItem);
  table("rule", state.rules.map((rule) => [rule, state.detectors.length]), ([rule]) => `${rule.name.shown} ${rule.name.full}`, ([rule, n]) => ruleRow(rule, n));
  table("dead-letter", state.dead_letters, (counted) => counted.reason.shown, deadLetterRow);
  table("detector", state.detectors, (detector) => detector.address, detectorRow);
  missing(state.missing);
}

function missing(found) {
  const words = ({ what, since, said }) => `${what}: missing since ${clock(since)} (${said}).`;
  const told = found.slice(0, MOST_MISSING).map((one) => ({ key: one.what, said: words(one) }));
  if (found.length > told.length) told.push({ key: "", said: `And ${found.length - told.length} more.` });
  fill(byId("missing").firstElementChild, told, (one) => one.key, (one) => element("li", "", one.said));
}

let paused = false;
let lastAnswer = Date.now() / 1000;

async function look() {
  if (!paused) {
    try {
      const answer = await fetch("state", { cache: "no-store", signal: AbortSignal.timeout(PATIENCE_MS) });
      if (!answer.ok) throw new Error(`it answers ${answer.status}`);
      const state = await answer.json();
      lastAnswer = Date.now() / 1000;
      if (!paused) show(state);
    } catch (error) {
      missing([{ what: "The console", since: lastAnswer, said: "what you see is from then" }]);
    }
  }
  setTimeout(look, EVERY_MS);
}

byId("pause").addEventListener("click", ({ currentTarget }) => {
  paused = !paused;
  currentTarget.setAttribute("aria-pressed", String(paused));
  if (paused) byId("seen").append(", paused");
});

look();
