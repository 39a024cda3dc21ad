import { Client, AwsError } from "/console/aws.js";
import { plot, short } from "/console/plot.js";

// ---- small helpers

const h = (name, attributes = {}, ...children) => {
  const e = document.createElement(name);
  for (const [k, v] of Object.entries(attributes)) {
    if (v === undefined || v === null || v === false) continue;
    if (k.startsWith("on")) e.addEventListener(k.slice(2), v);
    else if (k === "value") e.value = v;
    else e.setAttribute(k, v === true ? "" : v);
  }
  e.append(...children.flat().filter((c) => c !== null && c !== undefined));
  return e;
};
const ago = (t) => {
  const s = Math.max(0, (Date.now() - t) / 1000);
  if (s < 90) return `${Math.round(s)} s ago`;
  if (s < 5400) return `${Math.round(s / 60)} min ago`;
  if (s < 129600) return `${Math.round(s / 3600)} h ago`;
  return `${Math.round(s / 86400)} d ago`;
};
const pill = (state) => {
  const good = ["OK", "ACTIVE", "RUNNING", "SUCCEEDED", "DEPLOYED", "HEALTHY", "COMPLETED", "PRIMARY"], bad = ["ALARM", "FAILED", "STOPPED", "UNHEALTHY", "REJECTED"];
  const s = String(state || "").toUpperCase();
  return h("span", { class: `pill ${good.includes(s) ? "good" : bad.includes(s) ? "bad" : "warn"}` }, String(state || "–"));
};
const fail = (e) => h("p", { class: "note", role: "alert" }, e instanceof AwsError ? `${e.code}: ${e.message}` : String(e.message || e));

// ---- session

const kept = "bastide.session";
const state = { base: null, client: null, account: null, accounts: [], region: "us-east-1", range: 3600, until: null };

function takeHandover() {
  const match = location.hash.match(/^#session=([\w-]+)(\/.*)?$/);
  if (match) {
    history.replaceState(null, "", `/console/#${match[2] || "/overview"}`);
    const bytes = Uint8Array.from(atob(match[1].replace(/-/g, "+").replace(/_/g, "/")), (c) => c.charCodeAt(0));
    return JSON.parse(new TextDecoder().decode(bytes));
  }
  try { return JSON.parse(sessionStorage.getItem(kept)); } catch { return null; }
}

async function signIn(session) {
  state.region = session.Region || "us-east-1";
  state.base = new Client(session, state.region);
  const me = await state.base.call("sts", "GetCallerIdentity");
  const own = me.querySelector("Account").textContent;
  state.me = me.querySelector("Arn").textContent;
  state.accounts = [{ id: own, name: "this account" }];
  try {
    const list = await state.base.call("organizations", "ListAccounts");
    state.accounts = list.Accounts.filter((a) => a.Status === "ACTIVE").map((a) => ({ id: a.Id, name: a.Name }));
  } catch (e) { if (!(e instanceof AwsError)) throw e; }
  sessionStorage.setItem(kept, JSON.stringify(session));
  state.clients = { [own]: state.base };
  const first = state.accounts.find((a) => a.id === sessionStorage.getItem("bastide.account")) || state.accounts.find((a) => a.name === "prod") || state.accounts.find((a) => a.id === own) || state.accounts[0];
  await choose(first.id);
}

async function clientOf(account) {
  if (!state.clients[account]) state.clients[account] = await state.base.assume(`arn:aws:iam::${account}:role/OrganizationAccountAccessRole`, "console");
  return state.clients[account];
}

async function choose(account) {
  state.client = await clientOf(account);
  state.account = account;
  sessionStorage.setItem("bastide.account", account);
}

function signInPage(problem) {
  const area = h("textarea", { rows: 6, id: "keys", placeholder: '{"AccessKeyId": "...", "SecretAccessKey": "...", "SessionToken": "..."}', spellcheck: "false", autocomplete: "off" });
  const main = h("main", { id: "main", class: "signin card" },
    h("h1", {}, "Sign in"),
    h("p", {}, "Run ", h("code", {}, "bastide console"), " in a terminal: it prints a link that signs you in for as long as its session lasts. Or paste the answer of ", h("code", {}, "bastide auth export PROFILE"), "."),
    problem ? fail(problem) : null,
    h("form", { onsubmit: async (e) => {
      e.preventDefault();
      try { await signIn(JSON.parse(area.value)); frame(); } catch (x) { signInPage(x); }
    } }, h("label", { for: "keys", class: "small quiet" }, "Credentials (kept in this tab alone)"), area, h("p", {}, h("button", { class: "main" }, "Sign in"))));
  document.getElementById("app").replaceChildren(main);
  area.focus();
}

// ---- frame

const pages = { overview: ["Overview", overview], dashboards: ["Dashboards", dashboards], alarms: ["Alarms", alarms], metrics: ["Metrics", metrics], logs: ["Logs", logs] };
let timer = null, turn = 0;

function frame() {
  const accounts = h("select", { "aria-label": "Account", onchange: async (e) => {
    try { await choose(e.target.value); show(); } catch (x) { document.getElementById("main").prepend(fail(x)); }
  } }, state.accounts.map((a) => h("option", { value: a.id, selected: a.id === state.account }, `${a.name} · ${a.id}`)));
  const theme = h("button", { class: "small", onclick: () => {
    const dark = matchMedia("(prefers-color-scheme: dark)").matches, now = document.documentElement.dataset.theme || (dark ? "dark" : "light");
    document.documentElement.dataset.theme = now === "dark" ? "light" : "dark";
    localStorage.setItem("bastide.theme", document.documentElement.dataset.theme);
  } }, "Light / dark");
  document.getElementById("app").replaceChildren(h("div", { class: "frame" },
    h("div", { class: "side" },
      h("div", { class: "brand" }, brand(), "Bastide"), accounts,
      h("nav", { "aria-label": "Pages" }, Object.entries(pages).map(([key, [title]]) => h("a", { href: `#/${key}`, "data-page": key }, title))),
      h("footer", {}, h("p", { class: "mono" }, state.me.split("/").slice(1).join("/") || state.me), theme, " ",
        h("button", { class: "small", onclick: () => { sessionStorage.clear(); location.hash = ""; signInPage(); } }, "Sign out"))),
    h("main", { id: "main", tabindex: "-1" })));
  show();
}

function brand() {
  const s = document.createElementNS("http://www.w3.org/2000/svg", "svg");
  s.setAttribute("viewBox", "0 0 16 16");
  s.setAttribute("aria-hidden", "true");
  s.innerHTML = '<path d="M1 4h3v2h2V4h4v2h2V4h3v10h-5v-3a2 2 0 0 0-4 0v3H1z"/>';
  return s;
}

async function show() {
  clearInterval(timer);
  const mine = ++turn;
  const [, key = "overview", ...rest] = location.hash.slice(1).split("/");
  const [title, page] = pages[key] || pages.overview;
  document.title = `${title} · Bastide`;
  for (const a of document.querySelectorAll("nav a")) a.toggleAttribute("aria-current", false), a.dataset.page === key && a.setAttribute("aria-current", "page");
  const main = document.getElementById("main");
  main.replaceChildren(h("p", { class: "quiet" }, "Loading …"));
  try {
    const made = await page(rest.map(decodeURIComponent), () => mine === turn);
    if (mine === turn) main.replaceChildren(...made.flat().filter(Boolean));
    if (mine === turn) main.dispatchEvent(new Event("shown"));
  } catch (e) {
    if (mine === turn) main.replaceChildren(h("h1", {}, title), fail(e));
    if (e.code === "ExpiredTokenException" || e.code === "ExpiredToken") signInPage(e);
  }
}

// ---- overview

async function overview() {
  const shared = state.accounts.find((a) => a.name === "shared-services");
  const status = await (await clientOf(shared ? shared.id : state.account)).call("bastide", "GetStatus").catch((e) => ({ problem: e }));
  const environments = status.environments || [];
  const cards = await Promise.all(environments.map(async (e) => {
    const client = await clientOf(e.account).catch(() => null);
    const found = client ? await client.call("cloudwatch", "DescribeAlarms", {}, { region: e.region }).catch(() => null) : null;
    const ringing = found ? found.MetricAlarms.filter((a) => a.StateValue === "ALARM") : [];
    const go = async (page) => { await choose(e.account); document.querySelector(".side select").value = e.account; location.hash = `#/${page}`; };
    return h("section", { class: "card" },
      h("header", {}, h("h2", {}, e.name), found ? pill(ringing.length ? "ALARM" : found.MetricAlarms.length ? "OK" : "no alarms") : null),
      (e.deployments || []).length ? h("table", {}, h("thead", {}, h("tr", {}, ["App", "Release", "State"].map((t) => h("th", { scope: "col" }, t)))), h("tbody", {}, e.deployments.map((d) => h("tr", {},
        h("td", {}, d.url ? h("a", { href: d.url, rel: "noreferrer" }, d.app) : d.app || "–"),
        h("td", { class: "mono" }, (d.commit || d.releaseId || "").slice(0, 12)), h("td", {}, pill(d.state || "ACTIVE")))))) : h("p", { class: "quiet" }, "Nothing is deployed yet."),
      ringing.length ? h("p", {}, "Ringing: ", ringing.map((a) => a.AlarmName).join(", ")) : null,
      h("p", { class: "small" }, h("button", { onclick: () => go("dashboards") }, "Dashboard"), " ", h("button", { onclick: () => go("alarms") }, "Alarms"), " ", h("button", { onclick: () => go("logs") }, "Logs")));
  }));
  const releases = shared ? await (await clientOf(shared.id)).call("bastide", "ListReleases", { maxResults: 12 }).catch(() => ({ releases: [] })) : { releases: [] };
  return [
    h("div", { class: "bar" }, h("h1", {}, "Overview"), h("span", { class: "grow" }), status.tier ? h("span", { class: "quiet small" }, `version ${status.version} · tier ${status.tier} · up since ${new Date(status.startedAt * 1000).toLocaleString()}`) : null),
    status.problem ? fail(status.problem) : null,
    h("div", { class: "cards" }, cards.length ? cards : h("section", { class: "card" }, h("h2", {}, "No environments"), h("p", { class: "quiet" }, "bastide up makes them from a bastide.yaml."))),
    (status.components || []).length ? h("section", { class: "card", style: "margin-top:1rem" }, h("header", {}, h("h2", {}, "Components")),
      h("table", {}, h("tbody", {}, status.components.map((c) => h("tr", {}, h("td", {}, c.name), h("td", {}, pill(c.state)), h("td", { class: "quiet" }, c.message || "")))))) : null,
    releases.releases.length ? h("section", { class: "card", style: "margin-top:1rem" }, h("header", {}, h("h2", {}, "Releases")),
      h("div", { class: "scroll" }, h("table", {}, h("thead", {}, h("tr", {}, ["App", "Commit", "State", "Where", "Tests", "When", "By"].map((t) => h("th", { scope: "col" }, t)))),
        h("tbody", {}, releases.releases.map((r) => h("tr", {}, h("td", {}, r.app), h("td", { class: "mono" }, (r.commit || "").slice(0, 12)), h("td", {}, pill(r.state)), h("td", {}, (r.environments || []).join(", ")),
          h("td", {}, r.tests ? `${r.tests.passed ?? 0} passed${r.tests.failed ? `, ${r.tests.failed} failed` : ""}` : "–"), h("td", {}, r.createdAt ? ago(r.createdAt * 1000) : ""), h("td", { class: "mono small" }, (r.createdBy || "").split("/").pop()))))))) : null,
  ];
}

// ---- time range

const ranges = [[900, "15 min"], [3600, "1 hour"], [3 * 3600, "3 hours"], [12 * 3600, "12 hours"], [86400, "1 day"], [7 * 86400, "1 week"], [63 * 86400, "2 months"]];
const span = () => {
  const end = state.until || Date.now();
  return { start: end - state.range * 1000, end };
};
const periodFor = (wanted) => {
  const fits = [60, 300, 900, 3600, 21600, 86400].find((p) => state.range / p <= 720) || 86400;
  const floor = state.range > 63 * 86400 ? 3600 : state.range > 15 * 86400 ? 300 : 1;
  return Math.max(wanted || 0, fits, floor);
};
function rangeBar(refresh) {
  return [h("select", { "aria-label": "Time range", onchange: (e) => { state.range = Number(e.target.value); state.until = null; refresh(); } },
    ranges.some(([s]) => s === state.range) ? null : h("option", { selected: true, value: state.range }, "zoomed"),
    ranges.map(([s, t]) => h("option", { value: s, selected: s === state.range }, `Last ${t}`))),
  h("button", { onclick: refresh, "aria-label": "Refresh" }, "Refresh")];
}
const zoom = (a, b) => { state.range = Math.max(60, Math.round((b - a) / 1000)); state.until = b; show(); };

async function query(queries, client = state.client, region = state.region) {
  const { start, end } = span(), out = [];
  let next;
  do {
    const answer = await client.call("cloudwatch", "GetMetricData", { MetricDataQueries: queries, StartTime: Math.floor(start / 1000), EndTime: Math.ceil(end / 1000), ScanBy: "TimestampAscending", NextToken: next }, { region });
    for (const r of answer.MetricDataResults) {
      const points = r.Timestamps.map((t, i) => [t * 1000, r.Values[i]]);
      const before = out.find((o) => o.id === r.Id && o.label === r.Label);
      if (before && next) before.points.push(...points);
      else out.push({ id: r.Id, label: r.Label, points });
    }
    next = answer.NextToken;
  } while (next);
  return out;
}

const legend = (series) => h("div", { class: "legend" }, series.filter((s) => s.points.length).map((s, i) => h("span", {}, h("i", { style: `background:var(--s${(i % 8) + 1})` }), `${s.label} ${short(s.points.at(-1)[1])}`)));

// ---- dashboards

// The "metrics" of a widget, with its short forms: "." repeats, "..." repeats all but the last.
// https://docs.aws.amazon.com/AmazonCloudWatch/latest/APIReference/CloudWatch-Dashboard-Body-Structure.html
function widgetQueries(p) {
  const queries = [];
  let before = [];
  (p.metrics || []).forEach((line, i) => {
    line = [...line];
    const options = typeof line.at(-1) === "object" ? line.pop() : {};
    if (options.expression) {
      queries.push({ Id: options.id || `e${i}`, Expression: options.expression, Label: options.label, Period: periodFor(options.period || p.period), ReturnData: options.visible !== false });
      return;
    }
    if (line[0] === "...") line = [...before.slice(0, before.length - (line.length - 1)), ...line.slice(1)];
    line = line.map((part, k) => (part === "." ? before[k] : part));
    before = line;
    const [Namespace, MetricName, ...rest] = line, Dimensions = [];
    for (let k = 0; k + 1 < rest.length; k += 2) Dimensions.push({ Name: rest[k], Value: rest[k + 1] });
    queries.push({ Id: options.id || `m${i}`, Label: options.label, ReturnData: options.visible !== false,
      MetricStat: { Metric: { Namespace, MetricName, Dimensions }, Period: periodFor(options.period || p.period), Stat: options.stat || p.stat || "Average" } });
  });
  return queries.filter((q) => q.Expression || (q.MetricStat.Metric.Namespace && q.MetricStat.Metric.MetricName));
}

function markdown(text) {  // headings, lists, emphasis, code and links; everything else is text
  const inline = (s) => s.split(/(\*\*[^*]+\*\*|`[^`]+`|\[[^\]]+\]\([^)\s]+\))/).map((part) => {
    if (part.startsWith("**")) return h("strong", {}, part.slice(2, -2));
    if (part.startsWith("`")) return h("code", {}, part.slice(1, -1));
    const link = part.match(/^\[([^\]]+)\]\(((?:https?:\/\/|#|\/)[^)\s]*)\)$/);
    return link ? h("a", { href: link[2], rel: "noreferrer" }, link[1]) : part;
  });
  return h("div", {}, text.split(/\n/).map((line) => {
    const head = line.match(/^(#{1,4})\s+(.*)/);
    if (head) return h(`h${Math.min(4, head[1].length + 1)}`, {}, inline(head[2]));
    if (/^[-*]\s/.test(line)) return h("li", {}, inline(line.slice(2)));
    return line.trim() ? h("p", { style: "margin:.3rem 0" }, inline(line)) : null;
  }));
}

function widget(w) {
  const p = w.properties || {};
  const body = h("div", { class: "graph" });
  const card = h("section", { class: "card", style: `grid-column: span ${Math.min(24, w.width || 6)}; grid-row: span ${Math.max(2, w.height || 6)}` },
    p.title ? h("header", {}, h("h2", {}, p.title)) : null, body);
  const load = async () => {
    try {
      if (w.type === "text") return body.replaceChildren(markdown(p.markdown || ""));
      if (w.type === "alarm") {
        const names = (p.alarms || []).map((a) => a.split(":alarm:").pop());
        const found = await state.client.call("cloudwatch", "DescribeAlarms", names.length ? { AlarmNames: names } : {});
        const all = [...found.MetricAlarms, ...found.CompositeAlarms];
        return body.replaceChildren(all.length ? h("div", { class: "bar" }, all.map((a) => h("a", { href: `#/alarms/${encodeURIComponent(a.AlarmName)}`, style: "text-decoration:none" }, pill(a.StateValue), " ", a.AlarmName))) : h("div", { class: "empty" }, "No alarms"));
      }
      if (w.type === "log") return body.replaceChildren(await logTable(p.query || "", null, () => true));
      if (w.type !== "metric") return body.replaceChildren(h("div", { class: "empty" }, `Widgets of type ${w.type} are not shown here`));
      const queries = widgetQueries(p), { start, end } = span();
      const series = queries.length ? await query(queries, state.client, p.region || state.region) : [];
      if (p.view === "singleValue" || p.view === "gauge") {
        return body.replaceChildren(h("div", { class: "bar", style: "align-items:end" }, series.map((s) => h("div", {}, h("div", { style: "font-size:1.9rem;font-weight:650" }, short(s.points.at(-1)?.[1])), h("div", { class: "quiet small" }, s.label)))));
      }
      if (p.view === "table") return body.replaceChildren(h("table", {}, h("tbody", {}, series.map((s) => h("tr", {}, h("td", {}, s.label), h("td", { class: "num" }, short(s.points.at(-1)?.[1])))))));
      plot(body, { series, start, end, period: Math.max(...queries.map((q) => q.MetricStat?.Period || q.Period || 60)), name: p.title || "Metrics", onZoom: zoom,
        limits: (p.annotations?.horizontal || []).filter((a) => typeof a.value === "number").map((a) => ({ value: a.value, label: a.label })) });
      card.querySelector(".legend")?.remove();
      card.append(legend(series));
    } catch (e) { body.replaceChildren(fail(e)); }
  };
  card.load = load;
  return card;
}

async function dashboards([name]) {
  const list = (await state.client.call("cloudwatch", "ListDashboards")).DashboardEntries.map((d) => d.DashboardName);
  const chosen = list.includes(name) ? name : list[0];
  const bar = h("div", { class: "bar" }, h("h1", {}, "Dashboards"),
    list.length ? h("select", { "aria-label": "Dashboard", onchange: (e) => { location.hash = `#/dashboards/${encodeURIComponent(e.target.value)}`; } }, list.map((n) => h("option", { value: n, selected: n === chosen }, n))) : null,
    h("span", { class: "grow" }), rangeBar(show));
  let widgets = standard(await state.client.call("cloudwatch", "ListMetrics"));
  if (chosen) widgets = JSON.parse((await state.client.call("cloudwatch", "GetDashboard", { DashboardName: chosen })).DashboardBody).widgets || [];
  const cards = widgets.map(widget);
  document.getElementById("main").addEventListener("shown", () => { for (const c of cards) c.load(); }, { once: true });
  timer = setInterval(() => { if (!document.hidden && !state.until) for (const c of cards) c.load(); }, 30000);
  return [bar, chosen ? null : h("p", { class: "quiet" }, "This account has no dashboard; this is what is measured in it."), cards.length ? h("div", { class: "grid" }, cards) : h("p", { class: "quiet" }, "Nothing is measured here yet.")];
}

// One graph a metric name: what an account without a dashboard shows.
function standard({ Metrics }) {
  const groups = new Map();
  for (const m of Metrics) {
    const key = `${m.Namespace} ${m.MetricName}`;
    if (!groups.has(key)) groups.set(key, []);
    if (groups.get(key).length < 8) groups.get(key).push([m.Namespace, m.MetricName, ...m.Dimensions.flatMap((d) => [d.Name, d.Value]), { label: m.Dimensions.map((d) => d.Value).join(" ") || m.MetricName }]);
  }
  return [...groups].slice(0, 24).map(([title, metrics]) => ({ type: "metric", width: 8, height: 5, properties: { title, metrics, stat: /Count|bytes|Bytes/.test(title) ? "Sum" : "Average" } }));
}

// ---- alarms

async function alarms([name]) {
  const found = await state.client.call("cloudwatch", "DescribeAlarms", { AlarmTypes: ["MetricAlarm", "CompositeAlarm"] });
  const all = [...found.MetricAlarms, ...found.CompositeAlarms].sort((a, b) => (b.StateValue === "ALARM") - (a.StateValue === "ALARM") || a.AlarmName.localeCompare(b.AlarmName));
  const one = all.find((a) => a.AlarmName === name);
  if (one) return alarm(one);
  timer = setInterval(() => { if (!document.hidden) show(); }, 20000);
  return [h("div", { class: "bar" }, h("h1", {}, "Alarms"), h("span", { class: "grow" }), h("button", { onclick: show }, "Refresh")),
    all.length ? h("section", { class: "card scroll" }, h("table", {}, h("thead", {}, h("tr", {}, ["State", "Alarm", "Condition", "Since"].map((t) => h("th", { scope: "col" }, t)))),
      h("tbody", {}, all.map((a) => h("tr", {}, h("td", {}, pill(a.StateValue)), h("td", {}, h("a", { href: `#/alarms/${encodeURIComponent(a.AlarmName)}` }, a.AlarmName), h("div", { class: "quiet small" }, a.AlarmDescription || "")),
        h("td", {}, condition(a)), h("td", {}, ago((a.StateTransitionedTimestamp || a.StateUpdatedTimestamp) * 1000))))))) : h("p", { class: "quiet" }, "There are no alarms in this account and region.")];
}
const condition = (a) => {
  if (a.AlarmRule) return h("code", {}, a.AlarmRule);
  const words = { GreaterThanThreshold: ">", GreaterThanOrEqualToThreshold: "≥", LessThanThreshold: "<", LessThanOrEqualToThreshold: "≤" };
  return `${a.MetricName || "expression"} ${a.Statistic || a.ExtendedStatistic || ""} ${words[a.ComparisonOperator] || "outside the band"} ${a.Threshold ?? ""}, ${a.DatapointsToAlarm || a.EvaluationPeriods} of ${a.EvaluationPeriods} × ${a.Period || 60} s`;
};
async function alarm(a) {
  const history = (await state.client.call("cloudwatch", "DescribeAlarmHistory", { AlarmName: a.AlarmName, MaxRecords: 30 })).AlarmHistoryItems;
  const body = h("div", { class: "graph", style: "height:260px" });
  const draw = async () => {
    const { start, end } = span();
    const queries = a.Metrics || (a.MetricName ? [{ Id: "m1", MetricStat: { Metric: { Namespace: a.Namespace, MetricName: a.MetricName, Dimensions: a.Dimensions }, Period: Math.max(a.Period, periodFor(a.Period)), Stat: a.Statistic || a.ExtendedStatistic } }] : []);
    if (!queries.length) return body.replaceChildren(h("div", { class: "empty" }, "A composite alarm has no metric of its own"));
    try { plot(body, { series: await query(queries), start, end, period: periodFor(a.Period), limits: typeof a.Threshold === "number" ? [{ value: a.Threshold, label: "threshold" }] : [], onZoom: zoom, name: a.AlarmName }); } catch (e) { body.replaceChildren(fail(e)); }
  };
  document.getElementById("main").addEventListener("shown", draw, { once: true });
  timer = setInterval(() => { if (!document.hidden && !state.until) draw(); }, 20000);
  return [h("p", {}, h("a", { href: "#/alarms" }, "← Alarms")),
    h("div", { class: "bar" }, h("h1", {}, a.AlarmName), pill(a.StateValue), h("span", { class: "grow" }), rangeBar(show)),
    h("p", { class: "quiet" }, a.AlarmDescription || "", a.AlarmDescription ? h("br") : null, condition(a)), h("p", {}, a.StateReason),
    h("section", { class: "card" }, body),
    h("section", { class: "card", style: "margin-top:1rem" }, h("header", {}, h("h2", {}, "History")), h("table", {}, h("tbody", {}, history.map((i) => h("tr", {}, h("td", { class: "small" }, new Date(i.Timestamp * 1000).toLocaleString()), h("td", {}, i.HistoryItemType), h("td", {}, i.HistorySummary))))))];
}

// ---- metrics

async function metrics([space, metric]) {
  const all = [];
  let next;
  do {
    const page = await state.client.call("cloudwatch", "ListMetrics", { NextToken: next });
    all.push(...page.Metrics);
    next = page.NextToken;
  } while (next && all.length < 5000);
  const spaces = [...new Set(all.map((m) => m.Namespace))].sort();
  const chosen = spaces.includes(space) ? space : spaces[0];
  const names = [...new Set(all.filter((m) => m.Namespace === chosen).map((m) => m.MetricName))].sort();
  const name = names.includes(metric) ? metric : names[0];
  const of = all.filter((m) => m.Namespace === chosen && m.MetricName === name).slice(0, 20);
  const stat = sessionStorage.getItem("bastide.stat") || "Average";
  const body = h("div", { class: "graph", style: "height:340px" }), section = h("section", { class: "card" }, body);
  const draw = async () => {
    const { start, end } = span(), period = periodFor(60);
    try {
      const series = of.length ? await query(of.map((m, i) => ({ Id: `m${i}`, Label: m.Dimensions.map((d) => `${d.Name}=${d.Value}`).join(" ") || m.MetricName, MetricStat: { Metric: m, Period: period, Stat: stat } }))) : [];
      plot(body, { series, start, end, period, onZoom: zoom, name: name || "Metric" });
      section.querySelector(".legend")?.remove();
      section.append(legend(series));
    } catch (e) { body.replaceChildren(fail(e)); }
  };
  document.getElementById("main").addEventListener("shown", draw, { once: true });
  const go = (s, m) => { location.hash = `#/metrics/${encodeURIComponent(s)}/${encodeURIComponent(m || "")}`; };
  return [h("div", { class: "bar" }, h("h1", {}, "Metrics"), h("span", { class: "grow" }), rangeBar(show)),
    h("div", { class: "bar" },
      h("select", { "aria-label": "Namespace", onchange: (e) => go(e.target.value) }, spaces.map((s) => h("option", { value: s, selected: s === chosen }, s))),
      h("select", { "aria-label": "Metric", onchange: (e) => go(chosen, e.target.value) }, names.map((n) => h("option", { value: n, selected: n === name }, n))),
      h("select", { "aria-label": "Statistic", onchange: (e) => { sessionStorage.setItem("bastide.stat", e.target.value); show(); } }, ["Average", "Sum", "Maximum", "Minimum", "SampleCount", "p50", "p90", "p99"].map((s) => h("option", { value: s, selected: s === stat }, s)))),
    section];
}

// ---- logs

async function insights(text, groups, alive, progress) {
  const { start, end } = span();
  const { queryId } = await state.client.call("logs", "StartQuery", { logGroupNames: groups, queryString: text, startTime: Math.floor(start / 1000), endTime: Math.ceil(end / 1000) });
  for (let wait = 80; alive(); wait = Math.min(1000, wait * 1.5)) {
    const r = await state.client.call("logs", "GetQueryResults", { queryId });
    progress?.(r);
    if (!["Running", "Scheduled"].includes(r.status)) return r;
    await new Promise((f) => setTimeout(f, wait));
  }
  await state.client.call("logs", "StopQuery", { queryId }).catch(() => null);
  return { results: [], status: "Cancelled" };
}
function resultTable(r) {
  const rows = r.results.map((row) => Object.fromEntries(row.map((f) => [f.field, f.value])));
  const fields = [...new Set(r.results.flatMap((row) => row.map((f) => f.field)))].filter((f) => f !== "@ptr");
  if (!rows.length) return h("div", { class: "empty", style: "min-height:5rem" }, r.status === "Failed" ? "The query failed" : "Nothing was found in this time");
  return h("div", { class: "scroll" }, h("table", { class: "logs" }, h("thead", {}, h("tr", {}, fields.map((f) => h("th", { scope: "col" }, f)))), h("tbody", {}, rows.map((row) => h("tr", {}, fields.map((f) => h("td", { class: "mono" }, row[f] ?? "")))))));
}
// "SOURCE 'group' | fields ..." as log widgets have it.
async function logTable(text, groups, alive) {
  const sources = [...text.matchAll(/SOURCE\s+'([^']+)'/g)].map((m) => m[1]);
  const rest = text.replace(/SOURCE\s+'[^']+'\s*\|?/g, "").trim();
  return resultTable(await insights(rest || "fields @timestamp, @message | sort @timestamp desc | limit 20", groups || sources, alive));
}

async function logs([group]) {
  const all = [];
  let next;
  do {
    const page = await state.client.call("logs", "DescribeLogGroups", { nextToken: next, limit: 50 });
    all.push(...page.logGroups.map((g) => g.logGroupName));
    next = page.nextToken;
  } while (next && all.length < 1000);
  if (!all.length) return [h("h1", {}, "Logs"), h("p", { class: "quiet" }, "There are no log groups in this account and region.")];
  const chosen = all.includes(group) ? group : sessionStorage.getItem("bastide.group") && all.includes(sessionStorage.getItem("bastide.group")) ? sessionStorage.getItem("bastide.group") : all[0];
  const field = h("textarea", { rows: 4, "aria-label": "Query", spellcheck: "false", value: sessionStorage.getItem("bastide.query") || "fields @timestamp, @message\n| sort @timestamp desc\n| limit 100" });
  const result = h("section", { class: "card" }), info = h("span", { class: "quiet small", role: "status" }), bars = h("div", { class: "graph", style: "height:90px" });
  let run = 0;
  const start = async () => {
    const mine = ++run, mineTurn = turn;
    const alive = () => mine === run && mineTurn === turn;
    sessionStorage.setItem("bastide.query", field.value);
    info.textContent = "Running …";
    try {
      const r = await insights(field.value, [picker.value], alive, (p) => { if (alive()) info.textContent = `${p.status}: ${short(p.statistics?.recordsMatched || 0)} of ${short(p.statistics?.recordsScanned || 0)} events, ${short(p.statistics?.bytesScanned || 0)}B`; });
      if (alive()) result.replaceChildren(resultTable(r));
      const { start: a, end: b } = span(), step = Math.max(60, Math.ceil((b - a) / 60e3 / 60) * 60);
      const counts = await insights(`stats count(*) as events by bin(${step}s) as time`, [picker.value], alive);
      const points = counts.results.map((row) => [Date.parse(row.find((f) => f.field === "time")?.value.replace(" ", "T") + "Z"), Number(row.find((f) => f.field === "events")?.value)]).filter((p) => p.every(Number.isFinite)).sort((x, y) => x[0] - y[0]);
      if (alive()) plot(bars, { series: [{ label: "events", points }], start: a, end: b, period: step, name: "Events over time", onZoom: zoom });
    } catch (e) { if (alive()) { info.textContent = ""; result.replaceChildren(fail(e)); } }
  };
  const picker = h("select", { "aria-label": "Log group", onchange: (e) => { sessionStorage.setItem("bastide.group", e.target.value); start(); } }, all.map((g) => h("option", { value: g, selected: g === chosen }, g)));
  field.addEventListener("keydown", (e) => { if (e.key === "Enter" && (e.ctrlKey || e.metaKey)) { e.preventDefault(); start(); } });
  document.getElementById("main").addEventListener("shown", start, { once: true });
  return [h("div", { class: "bar" }, h("h1", {}, "Logs"), h("span", { class: "grow" }), rangeBar(show)),
    h("div", { class: "split" }, h("section", { class: "card" }, h("div", { class: "bar" }, picker, h("span", { class: "grow" }), info, h("button", { onclick: () => { run++; info.textContent = "Cancelled"; } }, "Cancel"), h("button", { class: "main", onclick: start, title: "Ctrl+Enter" }, "Run")), field, bars), result)];
}

// ---- begin

const theme = localStorage.getItem("bastide.theme");
if (theme) document.documentElement.dataset.theme = theme;
addEventListener("hashchange", () => { if (location.hash.startsWith("#session=")) location.reload(); else if (state.client) show(); });
addEventListener("keydown", (e) => {
  if (e.target.matches("input, textarea, select") || e.ctrlKey || e.metaKey || e.altKey || !state.client) return;
  const page = { o: "overview", d: "dashboards", a: "alarms", m: "metrics", l: "logs" }[e.key];
  if (page) location.hash = `#/${page}`;
  if (e.key === "r") show();
});
const session = takeHandover();
if (session) signIn(session).then(frame, signInPage);
else signInPage();
