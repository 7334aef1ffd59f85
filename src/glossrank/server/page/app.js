"use strict";
// The page of a glossrank server. Every text from a server or a person is put in as text, never as
// markup. No libraries, no build.

const byId = (id) => document.getElementById(id);

// A browser may refuse to keep anything, and says so even when asked for the storage itself.
const kept = {
  read(area, key) { try { return window[area].getItem(key); } catch { return null; } },
  write(area, key, value) { try { window[area].setItem(key, value); } catch { /* kept until the page is closed */ } },
};
const MOST_OPTIONS = 50;
const state = {
  glossaries: [], terms: new Map(), answers: null, token: kept.read("sessionStorage", "token"), tokenAsked: null,
  // Counters: who comes back from the server and finds another number than its own comes too late.
  turn: 0, choice: 0, recent: 0,
  failed: null, sending: Promise.resolve(),
};

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
  const sent = state.token;
  if (sent) headers.Authorization = `Bearer ${sent}`;
  if (options.json !== undefined) {
    headers["Content-Type"] = "application/json";
    options = { ...options, method: options.method || "POST", body: JSON.stringify(options.json) };
  }
  let response;
  try {
    response = await fetch(path, { ...options, headers });
  } catch {
    throw Object.assign(new Error("The server does not answer. Is it running?"), { unsure: true });
  }
  // Another call may have asked for a new token since this one was sent.
  if (response.status === 401 && (sent !== state.token || (await askForToken(sent)))) return call(path, options);
  const body = await response.json().catch(() => null);
  if (response.ok && body !== null) return body;
  // What was to be stored may have been, or not.
  const unsure = response.ok || response.status >= 500;
  throw Object.assign(new Error(body?.detail || `The server answered ${response.status}.`), { unsure });
}

function askForToken(wrong) {
  // Of several calls that need one, only the first asks.
  state.tokenAsked ??= confirmed("token-dialog", "go", () => {
    byId("token").select();
    show("token-problem", wrong ? "The server did not accept that token." : "");
  }).then((given) => {
    state.tokenAsked = null;
    show("token-problem", "");
    const token = byId("token").value.trim();
    if (!given || !token) return false;
    state.token = token;
    kept.write("sessionStorage", "token", token);
    return true;
  });
  return state.tokenAsked;
}

function confirmed(id, value, opened) {
  const dialog = byId(id);
  // Closed with Escape, a dialog keeps the value of the last time.
  dialog.returnValue = "";
  dialog.showModal();
  // Only what changes in an open dialog is read out.
  opened();
  return new Promise((resolve) => {
    dialog.addEventListener("close", () => resolve(dialog.returnValue === value), { once: true });
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
  const mine = ++state.choice;
  const name = byId("glossary-choice").value;
  // Before the new ones are there, so that no answer stands beside terms of another glossary.
  clearAnswers();
  state.terms = new Map();
  byId("right-term").value = "";
  byId("terms").replaceChildren();
  byId("examples").replaceChildren();
  try {
    const found = await call(`/v1/glossaries/${encodeURIComponent(name)}`);
    if (mine !== state.choice) return;
    state.terms = new Map(found.entries.map((entry) => [entry.id, entry]));
    byId("examples").replaceChildren(...found.examples.map((text) => element("button", {
      type: "button", text, on: { click: () => askFor(text) },
    })));
    await loadRecent();
  } catch (error) {
    if (mine === state.choice) show("problem", error.message);
  }
}

function clearAnswers() {
  state.turn += 1;
  state.answers = null;
  byId("answers").replaceChildren();
  byId("after").hidden = true;
  byId("examples").hidden = false;
  show("status", "");
  show("problem", "");
}

function askFor(question) {
  byId("question").value = question;
  // The pressed button may go; the box would open a telephone's keyboard over the answers.
  byId("status").focus();
  ask();
}

async function ask() {
  const question = byId("question").value;
  if (!question.trim()) return;
  clearAnswers();
  const mine = state.turn;
  show("status", "Asking …");
  const glossary = byId("glossary-choice").value;
  try {
    const found = await call("/v1/ask", { json: { question, glossary } });
    if (mine !== state.turn) return;
    state.answers = { ...found, pressed: new Map() };
    draw(found);
  } catch (error) {
    if (mine !== state.turn) return;
    show("status", "");
    show("problem", error.message);
    return;
  }
  // The answers are good without their reasons.
  const reasons = await call("/v1/ask", { json: { question, glossary, explain: true } }).catch(() => null);
  if (reasons && mine === state.turn) addReasons(reasons);
}

function draw(found) {
  const notes = [];
  if (found.none_of_these) notes.push("Perhaps none of these.");
  if (found.ambiguous.length) notes.push("The first two are too close to call.");
  if (found.read_as !== found.question) notes.push(`Read as: ${found.read_as}`);
  if (byId("question").value !== found.question) notes.push(`The question was: ${found.question}`);
  show("status", [`${found.answers.length} answers.`, ...notes].join(" "));
  byId("answers").replaceChildren(...found.answers.map(card));
  byId("after").hidden = false;
  // They would push the answers off a small screen; an emptied box brings them back.
  byId("examples").hidden = true;
  showPressed();
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

function judge(verdict, term) {
  const found = state.answers;
  if (!found) return;
  const person = personNow();
  // One after the other: the last one counts, and a second press finds what the first one did.
  inOrder(async () => {
    const key = term ?? "";
    const said = JSON.stringify([verdict, person]);
    const name = found.answers.find((answer) => answer.id === term)?.term ?? state.terms.get(term)?.term ?? term;
    const note = verdict === "none" ? "Noted: none of these fits." : `Noted: ${name} is ${verdict}.`;
    if (found.pressed.get(key) !== said) {
      // The server stores an id once, so only what may be there already is sent under its old one.
      const again = state.failed?.found === found && state.failed.key === key && state.failed.said === said;
      const id = again ? state.failed.id : newId();
      state.failed = null;
      try {
        await call("/v1/verdicts", { json: {
          id, question: found.question, glossary: found.glossary, verdict, term_id: term,
          ...(person && { person }), fingerprint: found.fingerprint, model: found.model_sha,
          shown: found.answers.map((answer) => ({ id: answer.id, probability: answer.probability })),
        } });
      } catch (error) {
        show("problem", `The verdict was not stored. ${error.message}`);
        if (!error.unsure) return;
        // It may be the last word, so what was pressed before is to be said again.
        state.failed = { found, key, said, id };
        release(found.pressed, key);
        found.pressed.delete(key);
        if (state.answers === found) showPressed();
        return;
      }
      release(found.pressed, key);
      found.pressed.set(key, said);
    }
    if (state.answers === found) {
      show("problem", "");
      show("status", note);
      showPressed();
    }
    reloadRecent();
  });
}

function release(pressed, key) {
  // That none fits and that one does cannot both be so.
  if (key === "") pressed.clear();
  else pressed.delete("");
}

function inOrder(act) {
  state.sending = state.sending.then(act).catch((error) => show("problem", error.message));
}

function showPressed() {
  const pressed = (key, verdict) => {
    const said = state.answers.pressed.get(key);
    return String(said !== undefined && JSON.parse(said)[0] === verdict);
  };
  for (const button of document.querySelectorAll("[data-verdict]")) {
    button.setAttribute("aria-pressed", pressed(button.closest("li").dataset.id, button.dataset.verdict));
  }
  byId("none").setAttribute("aria-pressed", pressed("", "none"));
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
  const mine = ++state.recent;
  const glossary = byId("glossary-choice").value;
  const found = await call(`/v1/verdicts?limit=5&glossary=${encodeURIComponent(glossary)}`);
  if (mine !== state.recent) return;
  byId("recent").replaceChildren(...found.reverse().map((one) => {
    const name = one.term_id ? state.terms.get(one.term_id)?.term ?? one.term_id : "none of these";
    return element("li", {},
      element("button", { type: "button", class: "again", title: "Ask again", text: one.question, on: { click: () => askFor(one.question) } }),
      ` → ${name}: `,
      element("span", { class: one.verdict === "right" ? "right" : "wrong", text: one.verdict === "none" ? "none fits" : one.verdict }));
  }));
  if (!found.length) byId("recent").append(element("li", { text: "None yet." }));
}

async function reloadRecent() {
  await loadRecent().catch((error) => show("problem", `The latest verdicts could not be read. ${error.message}`));
}

function matchingTerms() {
  // All of a big glossary as options would stop the page.
  const typed = byId("right-term").value.trim().toLowerCase();
  const options = [];
  for (const { id, term } of state.terms.values()) {
    if (!term.toLowerCase().includes(typed) && !id.toLowerCase().includes(typed)) continue;
    options.push(element("option", { value: term, label: id }));
    if (options.length === MOST_OPTIONS) break;
  }
  byId("terms").replaceChildren(...options);
}

function correct(event) {
  event.preventDefault();
  const typed = byId("right-term").value.trim();
  const low = typed.toLowerCase();
  const entries = [...state.terms.values()];
  // Exactly so first: two terms may differ in capitals alone.
  const found = entries.find((entry) => entry.term === typed) ?? state.terms.get(typed)
    ?? entries.find((entry) => entry.term.toLowerCase() === low) ?? entries.find((entry) => entry.id.toLowerCase() === low);
  if (!found) return show("problem", "That is no term of this glossary: choose one of the list.");
  byId("right-term").value = "";
  judge("right", found.id);
}

// ---- whose verdicts

function personNow() {
  return byId("person").value.trim().slice(0, 200);
}

function showPerson() {
  byId("remove").hidden = !personNow();
}

async function removeMine() {
  const person = personNow();
  const sure = await confirmed("remove-dialog", "remove", () => {
    byId("remove-text").textContent = `Everything said under the name “${person}” goes, in every glossary, and cannot be brought back.`;
  });
  if (!sure) return;
  // After the verdicts that are on their way.
  inOrder(async () => {
    try {
      const { deleted } = await call(`/v1/verdicts?person=${encodeURIComponent(person)}`, { method: "DELETE" });
      show("problem", "");
      show("status", `Removed: ${deleted} ${deleted === 1 ? "verdict" : "verdicts"} of ${person}.`);
    } catch (error) {
      show("problem", `The verdicts were not removed. ${error.message}`);
      byId("problem").scrollIntoView({ block: "nearest" });
      return;
    }
    byId("status").scrollIntoView({ block: "nearest" });
    // What is gone can be said again.
    state.failed = null;
    if (state.answers) {
      for (const [key, said] of state.answers.pressed) if (JSON.parse(said)[1] === person) state.answers.pressed.delete(key);
      showPressed();
    }
    reloadRecent();
  });
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
  if (event.ctrlKey || event.metaKey || event.altKey || event.isComposing || byId("view-ask").hidden) return;
  if (document.querySelector("dialog[open]")) return;
  const cards = [...byId("answers").children];
  const { key, target } = event;
  if (/^(INPUT|TEXTAREA|SELECT)$/.test(target.tagName)) {
    // Only on request: who corrects the question, or listens to the page, stays where they are.
    if (target.id !== "question" || event.shiftKey || !cards.length || (key !== "ArrowDown" && key !== "Escape")) return;
    cards[0].focus();
    event.preventDefault();
    return;
  }
  const at = cards.findIndex((node) => node.contains(document.activeElement));
  const verdict = { r: "right", w: "wrong", n: "none" }[key];
  if (key === "/") byId("question").focus();
  else if (key === "j" && cards.length) cards[Math.min(at + 1, cards.length - 1)].focus();
  else if (key === "k" && cards.length) cards[Math.max(at - 1, 0)].focus();
  else if (verdict && at >= 0) judge(verdict, verdict === "none" ? null : cards[at].dataset.id);
  else return;
  event.preventDefault();
}

byId("ask-form").addEventListener("submit", (event) => { event.preventDefault(); ask(); });
byId("question").addEventListener("input", () => { if (!byId("question").value) clearAnswers(); });
byId("glossary-choice").addEventListener("change", chooseGlossary);
byId("none").addEventListener("click", () => judge("none", null));
byId("correct").addEventListener("submit", correct);
for (const event of ["focus", "input"]) byId("right-term").addEventListener(event, matchingTerms);
byId("person").value = kept.read("localStorage", "person") ?? "";
byId("person").addEventListener("input", () => { kept.write("localStorage", "person", personNow()); showPerson(); });
byId("remove").addEventListener("click", removeMine);
showPerson();
byId("upload-form").addEventListener("submit", upload);
document.addEventListener("keydown", onKey);
window.addEventListener("hashchange", route);
route();
loadGlossaries().then(() => byId("question").focus()).catch((error) => show("problem", error.message));
