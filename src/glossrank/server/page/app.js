"use strict";
// The page of a glossrank server. Every text from a server or a person is put in as text, never as
// markup. No libraries, no build.

const byId = (id) => document.getElementById(id);
const state = { glossaries: [], terms: new Map(), answers: null, given: new Map(), token: sessionStorage.getItem("token") };

function element(name, options = {}, ...children) {
  const node = document.createElement(name);
  for (const [key, value] of Object.entries(options)) {
    if (key === "text") node.textContent = value;
    else if (key === "class") node.className = value;
    else if (key === "on") for (const [event, act] of Object.entries(value)) node.addEventListener(event, act);
    else node.setAttribute(key, value);
  }
  node.append(...children);
  return node;
}

async function call(path, options = {}) {
  const headers = { ...(options.headers || {}) };
  if (state.token) headers.Authorization = `Bearer ${state.token}`;
  if (options.json !== undefined) {
    headers["Content-Type"] = "application/json";
    options = { ...options, method: options.method || "POST", body: JSON.stringify(options.json) };
  }
  let response;
  try {
    response = await fetch(path, { ...options, headers });
  } catch {
    throw new Error("The server does not answer. Is it running?");
  }
  if (response.status === 401 && (await askForToken())) return call(path, options);
  const body = await response.json().catch(() => ({}));
  if (!response.ok) throw new Error(body.detail || `The server answered ${response.status}.`);
  return body;
}

function askForToken() {
  const dialog = byId("token-dialog");
  dialog.showModal();
  return new Promise((resolve) => {
    dialog.addEventListener("close", () => {
      state.token = byId("token").value.trim();
      sessionStorage.setItem("token", state.token);
      resolve(Boolean(state.token));
    }, { once: true });
  });
}

function show(id, text) {
  const node = byId(id);
  node.textContent = text;
  if (node.getAttribute("role") === "alert") node.hidden = !text;
}

// ---- asking

async function loadGlossaries() {
  state.glossaries = await call("/v1/glossaries");
  const choice = byId("glossary-choice");
  const chosen = choice.value;
  choice.replaceChildren(...state.glossaries.map((g) => element("option", { value: g.name, text: `${g.name} (${g.terms} terms)` })));
  if (chosen) choice.value = chosen;
  await chooseGlossary();
}

async function chooseGlossary() {
  const name = byId("glossary-choice").value;
  const found = await call(`/v1/glossaries/${encodeURIComponent(name)}`);
  state.terms = new Map(found.entries.map((entry) => [entry.id, entry]));
  byId("terms").replaceChildren(...found.entries.map((entry) => element("option", { value: entry.term, label: entry.id })));
  byId("examples").replaceChildren(...found.examples.map((text) => element("button", {
    type: "button", text, on: { click: () => { byId("question").value = text; ask(); } },
  })));
  clearAnswers();
  await loadRecent();
}

function clearAnswers() {
  state.answers = null;
  state.given.clear();
  byId("answers").replaceChildren();
  byId("after").hidden = true;
  byId("examples").hidden = false;
  show("status", "");
  show("problem", "");
}

async function ask() {
  const question = byId("question").value;
  if (!question.trim()) return;
  clearAnswers();
  show("status", "Asking …");
  const glossary = byId("glossary-choice").value;
  try {
    const found = await call("/v1/ask", { json: { question, glossary } });
    if (byId("question").value !== question) return;
    state.answers = found;
    draw(found);
    const reasons = await call("/v1/ask", { json: { question, glossary, explain: true } });
    if (state.answers === found) addReasons(reasons);
  } catch (error) {
    show("status", "");
    show("problem", error.message);
  }
}

function draw(found) {
  const notes = [];
  if (found.none_of_these) notes.push("Perhaps none of these.");
  if (found.ambiguous.length) notes.push("The first two are too close to call.");
  if (found.read_as !== found.question) notes.push(`Read as: ${found.read_as}`);
  show("status", [`${found.answers.length} answers.`, ...notes].join(" "));
  byId("answers").replaceChildren(...found.answers.map(card));
  byId("after").hidden = false;
  // They would push the answers off a small screen; an emptied box brings them back.
  byId("examples").hidden = true;
  byId("none").setAttribute("aria-pressed", "false");
}

function card(answer) {
  const number = `answer-${answer.place}`;
  const children = [
    element("h2", { id: number, text: `${answer.place}. ${answer.term}` }),
    element("p", { class: "definition", text: answer.definition }),
  ];
  if (answer.named) children.push(element("p", { class: "named", text: answer.named }));
  children.push(element("p", { class: "named reasons", hidden: "" }));
  if (answer.probability !== null) {
    const percent = Math.round(answer.probability * 100);
    children.push(element("div", { class: "chance" },
      element("meter", { min: 0, max: 1, value: answer.probability, "aria-label": `How likely it is right: ${percent} percent` }),
      element("span", { text: `${percent} %`, "aria-hidden": "true" })));
  }
  children.push(element("div", { class: "verdicts", role: "group", "aria-label": `Verdict on ${answer.term}` },
    verdictButton("right", answer), verdictButton("wrong", answer)));
  return element("li", { class: "card", tabindex: "-1", "aria-labelledby": number, "data-id": answer.id }, ...children);
}

function verdictButton(verdict, answer) {
  return element("button", {
    type: "button", "data-verdict": verdict, "aria-pressed": "false", text: verdict === "right" ? "Right" : "Wrong",
    on: { click: () => judge(verdict, answer.id) },
  });
}

function addReasons(found) {
  for (const answer of found.answers) {
    const item = [...byId("answers").children].find((node) => node.dataset.id === answer.id);
    if (!item || !answer.reasons) continue;
    const { matched, words } = answer.reasons;
    if (matched) item.querySelector(".definition").replaceChildren(...marked(answer.definition, matched));
    const most = Math.max(0.5, ...words.map((word) => word.weight));
    const line = item.querySelector(".reasons");
    line.replaceChildren("Carried by: ", ...words.flatMap((word) => {
      const level = Math.min(4, Math.max(0, Math.ceil((4 * word.weight) / most)));
      return [element("span", { class: `word w${level}`, text: word.text }), " "];
    }));
    line.hidden = words.length === 0;
  }
}

function marked(text, span) {
  // The server counts characters as code points, strings here count halves of pairs.
  const points = Array.from(text);
  const part = (start, end) => points.slice(start, end).join("");
  return [part(0, span.start), element("mark", { text: part(span.start, span.end) }), part(span.end)];
}

// ---- verdicts

async function judge(verdict, term) {
  const found = state.answers;
  if (!found) return;
  // Pressed again, it is the same verdict; after another one on the same term it is a new one.
  const key = term ?? "";
  if (state.given.get(key)?.verdict !== verdict) state.given.set(key, { verdict, id: newId() });
  try {
    await call("/v1/verdicts", { json: {
      id: state.given.get(key).id, question: found.question, glossary: found.glossary, verdict, term_id: term,
      fingerprint: found.fingerprint, model: found.model_sha,
      shown: found.answers.map((answer) => ({ id: answer.id, probability: answer.probability })),
    } });
  } catch (error) {
    show("problem", `The verdict was not stored. ${error.message}`);
    return;
  }
  show("problem", "");
  for (const button of document.querySelectorAll("[data-verdict]")) {
    if (button.closest("li").dataset.id === term) button.setAttribute("aria-pressed", String(button.dataset.verdict === verdict));
  }
  byId("none").setAttribute("aria-pressed", String(verdict === "none"));
  const name = term ? state.terms.get(term)?.term ?? term : "";
  show("status", verdict === "none" ? "Noted: none of these fits." : `Noted: ${name} is ${verdict}.`);
  await loadRecent();
}

function newId() {
  // crypto.randomUUID is only there over HTTPS and on the own machine.
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  bytes[6] = (bytes[6] & 0x0f) | 0x40;
  bytes[8] = (bytes[8] & 0x3f) | 0x80;
  const hex = [...bytes].map((byte) => byte.toString(16).padStart(2, "0")).join("");
  return hex.replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, "$1-$2-$3-$4-$5");
}

async function loadRecent() {
  const glossary = byId("glossary-choice").value;
  const found = await call(`/v1/verdicts?limit=5&glossary=${encodeURIComponent(glossary)}`);
  byId("recent").replaceChildren(...found.reverse().map((one) => {
    const name = one.term_id ? state.terms.get(one.term_id)?.term ?? one.term_id : "none of these";
    return element("li", {}, `${one.question} → ${name}: `, element("span", { class: one.verdict === "right" ? "right" : "wrong", text: one.verdict === "none" ? "none fits" : one.verdict }));
  }));
  if (!found.length) byId("recent").append(element("li", { text: "None yet." }));
}

// ---- glossaries

async function upload(event) {
  event.preventDefault();
  const keep = event.submitter?.value === "keep";
  show("upload-problem", "");
  const file = byId("file").files[0];
  const pasted = byId("pasted").value;
  const name = byId("upload-name").value;
  if (!file && !pasted.trim()) return show("upload-problem", "Choose a file or paste some rows.");
  if (keep && !name) return show("upload-problem", "Give a name to keep it under.");
  const format = file ? file.name.split(".").pop().toLowerCase().replace(/^yml$/, "yaml") : pasted.split("\n")[0].includes("\t") ? "tsv" : "csv";
  const options = { method: keep ? "PUT" : "POST", body: file || pasted, headers: { "Content-Type": "application/octet-stream" } };
  show("upload-status", keep ? "Keeping …" : "Checking …");
  try {
    const found = await call(`/v1/lint?format=${encodeURIComponent(format)}&model=true`, { ...options, method: "POST" });
    drawFindings(found);
    if (keep) {
      const kept = await call(`/v1/glossaries/${encodeURIComponent(name)}?format=${encodeURIComponent(format)}`, options);
      byId("glossary-choice").replaceChildren(element("option", { value: kept.name }));
      show("upload-status", `Kept: ${kept.terms} terms as ${kept.name}, ${found.findings.length} findings.`);
      await loadGlossaries();
    } else {
      show("upload-status", `${found.terms} terms, ${found.findings.length} findings.`);
    }
  } catch (error) {
    show("upload-status", "");
    show("upload-problem", error.message);
  }
}

function drawFindings(found) {
  byId("findings").hidden = !found.findings.length;
  byId("findings").tBodies[0].replaceChildren(...found.findings.map((one) => element("tr", {},
    element("td", { text: one.line ?? "" }), element("td", { text: one.id }), element("td", { text: `${one.kind}: ${one.text}` }), element("td", { text: one.fix }))));
}

// ---- quality

async function loadQuality() {
  try {
    const rows = await call("/v1/verdicts/quality");
    const percent = (share) => (share === null ? "–" : `${Math.round(share * 100)} %`);
    byId("quality").tBodies[0].replaceChildren(...rows.map((row) => element("tr", {},
      element("td", { text: row.day }), element("td", { text: row.model.slice(0, 8) }), element("td", { text: row.verdicts }),
      element("td", { text: percent(row.first) }), element("td", { text: percent(row.found) }), element("td", { text: row.none }))));
    byId("chart").replaceChildren(...(rows.length ? [chart(rows)] : []));
    show("quality-status", rows.length ? "" : "No verdicts yet.");
  } catch (error) {
    show("quality-status", error.message);
  }
}

function chart(rows) {
  const space = "http://www.w3.org/2000/svg";
  const svg = document.createElementNS(space, "svg");
  // As wide as its place, so that a letter has one size on every screen.
  const wide = Math.max(280, byId("chart").clientWidth);
  svg.setAttribute("viewBox", `0 0 ${wide} 160`);
  const add = (name, attributes, text) => {
    const node = document.createElementNS(space, name);
    for (const [key, value] of Object.entries(attributes)) node.setAttribute(key, value);
    if (text !== undefined) node.textContent = text;
    svg.append(node);
  };
  const [left, right] = [48, wide - 10];
  const x = (at) => (rows.length > 1 ? left + (at * (right - left)) / (rows.length - 1) : (left + right) / 2);
  const y = (share) => 130 - share * 110;
  for (const share of [0, 0.5, 1]) {
    add("line", { class: "axis", x1: left, x2: right, y1: y(share), y2: y(share) });
    add("text", { x: 0, y: y(share) + 4 }, `${share * 100} %`);
  }
  const known = rows.map((row, at) => [row, at]).filter(([row]) => row.first !== null);
  add("polyline", { class: "curve", points: known.map(([row, at]) => `${x(at)},${y(row.first)}`).join(" ") });
  for (const [row, at] of known) add("circle", { class: "point", cx: x(at), cy: y(row.first), r: 4 });
  rows.forEach((row, at) => {
    if (at && row.model !== rows[at - 1].model) {
      const between = (x(at) + x(at - 1)) / 2;
      add("line", { class: "step", x1: between, x2: between, y1: 15, y2: 130 });
      add("text", { x: between + 4, y: 24 }, "new model");
    }
  });
  add("text", { x: left, y: 152 }, rows[0].day);
  if (rows.length > 1) add("text", { x: right, y: 152, "text-anchor": "end" }, rows[rows.length - 1].day);
  return svg;
}

// ---- views and keys

function route() {
  const view = ["ask", "glossary", "quality"].find((name) => location.hash === `#${name}`) || "ask";
  for (const section of document.querySelectorAll("main > section")) section.hidden = section.id !== `view-${view}`;
  for (const link of document.querySelectorAll("nav a")) {
    if (link.dataset.view === view) link.setAttribute("aria-current", "page");
    else link.removeAttribute("aria-current");
  }
  if (view === "quality") loadQuality();
}

function onKey(event) {
  const typing = /^(INPUT|TEXTAREA|SELECT)$/.test(event.target.tagName);
  if (typing || event.ctrlKey || event.metaKey || event.altKey || byId("view-ask").hidden) return;
  const cards = [...byId("answers").children];
  const at = cards.findIndex((node) => node.contains(document.activeElement));
  if (event.key === "/") byId("question").focus();
  else if (event.key === "j" && cards.length) cards[Math.min(at + 1, cards.length - 1)].focus();
  else if (event.key === "k" && cards.length) cards[Math.max(at - 1, 0)].focus();
  else if ((event.key === "r" || event.key === "w") && at >= 0) judge(event.key === "r" ? "right" : "wrong", cards[at].dataset.id);
  else return;
  event.preventDefault();
}

byId("ask-form").addEventListener("submit", (event) => { event.preventDefault(); ask(); });
byId("question").addEventListener("input", () => { if (!byId("question").value) clearAnswers(); });
byId("glossary-choice").addEventListener("change", chooseGlossary);
byId("none").addEventListener("click", () => judge("none", null));
byId("correct").addEventListener("submit", (event) => {
  event.preventDefault();
  const wanted = byId("right-term").value.trim().toLowerCase();
  const found = [...state.terms.values()].find((entry) => entry.term.toLowerCase() === wanted || entry.id === wanted);
  if (!found) return show("problem", "That is no term of this glossary: choose one of the list.");
  byId("right-term").value = "";
  judge("right", found.id);
});
byId("upload-form").addEventListener("submit", upload);
document.addEventListener("keydown", onKey);
window.addEventListener("hashchange", route);
route();
loadGlossaries().then(() => byId("question").focus()).catch((error) => show("problem", error.message));
