/** Signing in, step by step: name and password, code, new password, second factor. */
import { busy, byId, showError, texts } from "./page.js";
import { wireEnrolment } from "./enrolment.js";
import { setToken } from "./session.js";

const steps = byId("steps");
let known = "";

function goTo(pending) {
  if (!pending) {
    location.assign(steps.dataset.target);
    return;
  }
  for (const step of steps.children) step.hidden = step.id !== pending;
  byId("old-row").hidden = Boolean(known);
  byId("enrol-password-row").hidden = Boolean(known);
  steps.querySelector(`#${pending} input:not([hidden]), #${pending} button`)?.focus();
}

byId("credentials").addEventListener("submit", (event) => {
  event.preventDefault();
  busy(event.target, async (ask) => {
    const sent = {
      username: byId("username").value,
      password: byId("password").value,
      code: byId("code-row").hidden ? "" : byId("code").value,
    };
    const person = await ask("POST", "/api/v1/session", sent, {
      "second-factor-required": () => {
        byId("code-row").hidden = false;
        byId("code").focus();
      },
    });
    if (!person) {
      byId("code").value = "";
      return;
    }
    known = sent.password;
    setToken(person.csrf_token);
    goTo(person.pending);
  });
});

byId("change-password").addEventListener("submit", (event) => {
  event.preventDefault();
  const fresh = byId("new-password").value;
  if (fresh !== byId("new-repeat").value) {
    showError(texts["error.passwords-differ"]);
    return;
  }
  busy(event.target, async (ask) => {
    const sent = { old_password: known || byId("old-password").value, new_password: fresh };
    const person = await ask("POST", "/api/v1/account/password", sent);
    if (!person) return;
    known = fresh;
    setToken(person.csrf_token);
    goTo(person.pending);
  });
});

wireEnrolment(
  () => known,
  () => goTo(null),
);
