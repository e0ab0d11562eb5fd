// Shows what /v1/status and /v1/checks tell, every second. Text goes in as text, never as markup; nothing is decided here.

const INTERVAL_MS = 1000;
const TIMEOUT_MS = 5000;
const TONES = {
  up: "good", ready: "good", live: "good",
  down: "bad", unreachable: "bad", backing_off: "bad",
  difference: "bad", unmeasured: "warn",
  unknown: "warn", starting: "warn", drained: "warn", disputed: "warn", warning: "warn", "cannot look": "warn",
  critical: "bad", "not alike everywhere": "warn",
};

function element(name, attributes = {}, ...children) {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  made.append(...children.filter((child) => child !== null && child !== undefined));
  return made;
}

const place = (id) => document.getElementById(id);
const tag = (word) => element("span", { class: `tag ${TONES[word] ?? "quiet"}` }, word.replace("_", " "));
const key = (kind) => element("span", { class: `key ${kind}`, "aria-hidden": "true" });
const reason = (text) => (text ? element("p", { class: "reason" }, text) : null);
const percent = (share) => (share === undefined ? "–" : `${share.toFixed(2).replace(/\.?0+$/, "")} %`);
const since = (time) => (time ? `since ${new Date(time).toLocaleString()}` : "");

function alarm(_, seen) {
  return element("tr", {}, element("td", {}, tag(seen.severity)),
    element("th", { scope: "row" }, seen.rule.replaceAll("-", " "), reason(since(seen.since))),
    element("td", {}, seen.subject), element("td", {}, seen.message, reason(seen.remedy)));
}

function service(app) {
  if (Object.keys(app.at_nodes).length) return tag("not alike everywhere");
  return app.drained ? tag("drained") : null;
}

function site(name, seen) {
  const edge = seen.edge;
  const tags = [tag(seen.verdict), seen.drained ? tag("drained") : null];
  const apps = Object.entries(seen.apps).map(([app, verdict]) =>
    element("li", {},
      element("div", { class: "head" }, element("span", {}, app),
        element("span", { class: "tags" }, tag(verdict.verdict), service(verdict))),
      reason([verdict.reason, since(verdict.since)].filter(Boolean).join(" · "))));
  return element("article", {},
    element("div", { class: "head" }, element("h3", {}, name),
      element("span", { class: "tags" }, ...tags.filter(Boolean))),
    reason(seen.reason),
    element("p", { class: "reason" }, `Envoy: ${edge.state.replace("_", " ")}`,
      edge.pid ? `, pid ${edge.pid}` : "", edge.restarts ? `, started again ${edge.restarts} ×` : ""),
    edge.comparer ? element("p", { class: "reason" },
      `comparer: ${edge.comparer.answers ? "answers" : "does not answer"}`,
      edge.comparer.restarts ? `, started again ${edge.comparer.restarts} ×` : "",
      edge.comparer.restarts ? `, last because ${edge.comparer.last_end}` : "") : null,
    seen.capacity_per_s ? element("p", { class: "reason" },
      `load ${seen.load_percent === null ? "unknown" : percent(seen.load_percent)}`,
      ` of ${seen.capacity_per_s.toLocaleString()} requests/s`) : null,
    apps.length ? element("ul", {}, ...apps) : null);
}

function bar(kind, share, label) {
  const fill = element("span", { class: kind });
  fill.style.width = `${share ?? 0}%`;
  return element("div", { class: "bar", role: "img", "aria-label": `${label} ${percent(share)}` }, fill);
}

function split(route, seen) {
  const quiet = Object.keys(seen.observed).length === 0;
  const sides = [...new Set([...Object.keys(seen.intended), ...Object.keys(seen.observed)])].sort();
  const observed = (side) => (quiet ? undefined : seen.observed[side] ?? 0);
  return element("article", {},
    element("div", { class: "head" }, element("h3", {}, route),
      element("span", { class: "tags" }, element("span", { class: "tag quiet" }, seen.source))),
    reason(seen.detail),
    ...sides.map((side) => element("div", { class: "side" },
      element("div", { class: "label" }, element("span", {}, side),
        element("span", {}, key("want"), percent(seen.intended[side]),
          " ", key("have"), percent(observed(side)))),
      bar("want", seen.intended[side], "intended"), bar("have", observed(side), "observed"))),
    element("p", { class: "reason" }, key("want"), "intended  ", key("have"), "observed: ",
      quiet ? "no requests yet" : `${seen.requests.toLocaleString()} requests`));
}

function mirror(route, seen) {
  const skipped = Object.entries(seen.skipped).map(([why, count]) => `${count.toLocaleString()} ${why}`);
  const wanted = Object.entries(seen.intended).map(([to, share]) => `${to} ${share} %`).join(", ");
  const now = seen.stopped === null ? wanted : `stopped ${seen.stopped} (policy: ${wanted})`;
  const elsewhere = Object.entries(seen.at_nodes).map(([name, how]) => `; at ${name}: ${how}`).join("");
  return element("tr", {}, element("th", { scope: "row" }, route),
    element("td", { class: seen.stopped === null && !elsewhere ? "" : "bad" }, now + elsewhere),
    element("td", { class: "number" }, seen.sent.toLocaleString()), element("td", {}, skipped.join(", ") || "none"));
}

function comparison(route, seen) {
  const fields = seen.fields.map((one) =>
    element("li", {}, tag(one.verdict), " ", element("code", {}, one.path), ` ${one.kind}, ${one.seen.toLocaleString()} ×`));
  const differ = (seen.verdicts.difference ?? 0) + (seen.verdicts.unmeasured ?? 0);
  const numbers = [seen.pairs, seen.equal, seen.different].map((number) =>
    element("td", { class: "number" }, number.toLocaleString()));
  return element("tr", {},
    element("th", { scope: "row" }, route, reason(`${seen.reference} beside ${seen.target}`)), ...numbers,
    element("td", { class: `number ${differ ? "bad" : ""}` }, String(differ)),
    element("td", { class: "number" }, String(seen.verdicts.noise ?? 0)),
    element("td", {}, fields.length ? element("ul", { class: "nodes" }, ...fields) : seen.pairs ? "none" : "nothing compared yet"));
}

function check(name, seen) {
  const nodes = Object.entries(seen.nodes).map(([node, one]) =>
    element("li", { class: "node" }, element("span", {}, node), " ", tag(one.cannot ? "cannot look" : one.state),
      reason([one.cannot || (one.reason === seen.reason ? "" : one.reason), since(one.since)].filter(Boolean).join(" · "))));
  return element("tr", {},
    element("th", { scope: "row" }, name, element("p", { class: "reason" }, seen.kind)),
    element("td", {}, element("span", { class: "tags left" },
      ...[tag(seen.state), seen.warning ? tag("warning") : null].filter(Boolean))),
    element("td", {}, seen.monitor ? "nothing: it is only watched" : seen.decides.join(", ") || "nothing"),
    element("td", {}, seen.reason),
    element("td", {}, element("ul", { class: "nodes" }, ...nodes)));
}

// What a node decided by itself, or was told where it runs.
function note(seen) {
  return [
    seen.prober,
    seen.stepped_back_from ? `crashed with ${seen.stepped_back_from} and stepped back` : "",
    seen.broken_glass.length ? `broken glass: ${seen.broken_glass.join(", ")}` : "",
    seen.left_out.length ? `cannot serve ${seen.left_out.join(", ")}` : "",
  ].filter(Boolean).join("; ");
}

function role(name, seen) {
  const version = seen.revision === null ? "–" : `${seen.revision}.${seen.overrides}`;
  return element("tr", {}, element("th", { scope: "row" }, name, reason(note(seen))), element("td", {}, tag(seen.state)),
    element("td", {}, version), element("td", { class: seen.in_sync ? "" : "bad" }, seen.in_sync ? "yes" : "no"),
    element("td", { class: "number" }, seen.age_s === null ? "–" : `${seen.age_s} s ago`),
    element("td", { class: "number" }, seen.pid === null ? "–" : String(seen.pid)));
}

const shown = new Map();

// Nothing moves under a reader, or a screen reader, where nothing has changed.
function fill(id, things, show) {
  const text = JSON.stringify(things);
  if (shown.get(id) === text) return;
  shown.set(id, text);
  place(id).replaceChildren(...Object.entries(things).map(([name, seen]) => show(name, seen)));
}

// Without what is another with each look: when it was, how long it took.
function steady(one) {
  const nodes = Object.entries(one.nodes).map(([node, { state, reason, cannot, since }]) =>
    [node, { state, reason, cannot, since }]);
  return { ...one, nodes: Object.fromEntries(nodes) };
}

function show(seen, checks) {
  place("environment").textContent = seen.environment ?? "";
  place("version").textContent = seen.snapshot
    ? `policy revision ${seen.snapshot.revision} · overrides ${seen.snapshot.overrides} · ${seen.snapshot.digest}`
    : "no policy is in force yet";
  fill("alarms", Object.fromEntries(seen.alarms.entries()), alarm);
  const sites = Object.entries(seen.sites).map(([name, one]) => [name, { ...one, edge: seen.edges[name] }]);
  fill("sites", Object.fromEntries(sites), site);
  fill("splits", seen.splits, split);
  fill("mirrors", seen.mirrors, mirror);
  const compared = Object.entries(seen.mirrors).filter(([, one]) => one.compared);
  fill("comparisons", Object.fromEntries(compared.map(([route, one]) => [route, one.compared])), comparison);
  fill("checks", Object.fromEntries(Object.entries(checks).map(([name, one]) => [name, steady(one)])), check);
  fill("roles", seen.roles, role);
  place("alarms-section").hidden = seen.alarms.length === 0;
  place("mirrors-section").hidden = Object.keys(seen.mirrors).length === 0;
  place("comparisons-section").hidden = compared.length === 0;
  place("checks-section").hidden = Object.keys(checks).length === 0;
}

function tell(words, stale) {
  if (place("contact").textContent !== words) place("contact").textContent = words;
  document.body.classList.toggle("stale", stale);
}

async function read(path) {
  const response = await fetch(path, { signal: AbortSignal.timeout(TIMEOUT_MS) });
  if (!response.ok) throw new Error(`status ${response.status}`);
  return response.json();
}

async function look() {
  try {
    const [seen, { checks }] = await Promise.all([read("/v1/status"), read("/v1/checks")]);
    show(seen, checks);
    tell("live", false);
  } catch (error) {
    tell(`control does not answer (${error.message}); this is what it told last`, true);
  }
  setTimeout(look, INTERVAL_MS);
}

look();
