/** The own account: password, second factor, recovery codes, sessions. */
import { busy, byId, showError, showNotice, texts } from "./page.js";
import { showRecoveryCodes, wireEnrolment } from "./enrolment.js";
import { setToken } from "./session.js";

byId("password-form")?.addEventListener("submit", (event) => {
  event.preventDefault();
  if (byId("new-password").value !== byId("new-repeat").value) {
    showError(texts["error.passwords-differ"]);
    return;
  }
  busy(event.target, async (ask) => {
    const sent = { old_password: byId("old-password").value, new_password: byId("new-password").value };
    const person = await ask("POST", "/api/v1/account/password", sent);
    if (!person) return;
    setToken(person.csrf_token);
    event.target.reset();
    showNotice(texts.password_changed);
  });
});

byId("renew-form")?.addEventListener("submit", (event) => {
  event.preventDefault();
  busy(event.target, async (ask) => {
    const sent = { password: byId("renew-password").value, code: byId("renew-code").value };
    const answer = await ask("POST", "/api/v1/account/totp/recovery-codes", sent);
    if (!answer) return;
    event.target.reset();
    await showRecoveryCodes(answer.recovery_codes);
    location.reload();
  });
});

byId("everywhere")?.addEventListener("click", (event) => {
  busy(event.target, async (ask) => {
    if (await ask("DELETE", "/api/v1/account/sessions")) location.assign("/sign-in");
  });
});

if (byId("enrol-form")) {
  wireEnrolment(
    () => "",
    () => location.reload(),
  );
}
