/** The page that screens one image: sends it, outlines what was found, lists the most suspicious cells. */
import { messages } from "./messages.js";
import { drawResult, chooseCell } from "./result.js";
import { call, goToSignIn, sessionHeaders } from "./session.js";

const byId = (id) => document.getElementById(id);
const language = document.documentElement.lang;
let shown = null;

function text() {
  return messages[language];
}

function translate() {
  for (const element of document.querySelectorAll("[data-text]")) {
    element.textContent = text()[element.dataset.text];
  }
  for (const element of document.querySelectorAll("[data-label]")) {
    element.setAttribute("aria-label", text()[element.dataset.label]);
  }
}

function showError(message, detail) {
  const line = byId("error");
  line.textContent = [message, detail].filter(Boolean).join(" ");
  line.hidden = false;
  line.focus();
}

/** The scale as a form field and its value; null where none is stated. */
function statedScale() {
  const chosen = byId("scale").value;
  if (chosen !== "mpp") return chosen ? ["objective", chosen] : null;
  const mpp = byId("mpp").value;
  return mpp ? ["mpp", mpp] : null;
}

/** POST the form; resolves to {status, body} and reports the share that was sent. */
function post(form, onSent) {
  return new Promise((resolve, reject) => {
    const request = new XMLHttpRequest();
    request.open("POST", "/api/v1/inference");
    for (const [name, value] of Object.entries(sessionHeaders())) request.setRequestHeader(name, value);
    request.upload.onprogress = (event) => onSent(event.lengthComputable ? event.loaded / event.total : null);
    request.upload.onload = () => onSent(1);
    request.onload = () => resolve({ status: request.status, body: request.responseText });
    request.onerror = () => reject(new Error("offline"));
    request.send(form);
  });
}

function showProgress(share) {
  const bar = byId("progress");
  const sent = share === 1;
  if (share === null || sent) bar.removeAttribute("value");
  else bar.value = share;
  byId("stage").textContent = sent ? text().analysing : text().uploading;
}

/** Show the stored analysis that the address names, over its slide's image where the browser can show it. */
async function showStored(id) {
  const { status, body } = await call("GET", `/api/v1/analyses/${encodeURIComponent(id)}`);
  if (status !== 200) return showError(...explain(body ?? {}));
  if (body.state !== "completed") return showError(body.problem?.detail ?? body.state);
  shown = { answer: body, url: body.slide_id ? `/api/v1/slides/${encodeURIComponent(body.slide_id)}/image` : "" };
  drawResult(shown, text(), language);
  byId("result").hidden = false;
  byId("result-title").focus();
}

function explain(problem) {
  const slug = String(problem.type || "").split(":").pop();
  const known = text().error[slug];
  const id = problem.request_id ? `(${text().requestId} ${problem.request_id})` : "";
  return [known || problem.detail || problem.title, id];
}

async function send(event) {
  event.preventDefault();
  byId("error").hidden = true;
  const file = byId("image").files[0];
  if (!file) return showError(text().needImage);
  const scale = statedScale();
  if (!scale) return showError(text().needScale);
  const form = new FormData();
  form.append(scale[0], scale[1]);
  form.append("image", file, "image");
  byId("send").disabled = true;
  byId("working").hidden = false;
  showProgress(0);
  try {
    const { status, body } = await post(form, showProgress);
    let answer = null;
    try {
      answer = JSON.parse(body);
    } catch {
      return showError(text().badAnswer, `(HTTP ${status})`);
    }
    if (status === 401) return goToSignIn();
    if (status !== 200) return showError(...explain(answer));
    if (shown) URL.revokeObjectURL(shown.url);
    shown = { answer, url: URL.createObjectURL(file) };
    drawResult(shown, text(), language);
    byId("result").hidden = false;
    byId("result-title").focus();
  } catch {
    showError(text().offline);
  } finally {
    byId("send").disabled = false;
    byId("working").hidden = true;
  }
}

byId("form").addEventListener("submit", send);
byId("scale").addEventListener("change", () => {
  byId("mpp-row").hidden = byId("scale").value !== "mpp";
});
byId("cells").addEventListener("click", (event) => {
  const button = event.target.closest("button");
  if (button) chooseCell(Number(button.dataset.index));
});
translate();
const stored = new URLSearchParams(location.search).get("analysis");
if (stored) showStored(stored).catch(() => showError(text().offline));
