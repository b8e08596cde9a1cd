/** Enrolling a second factor: a QR code, a code to confirm it, recovery codes. */
import { busy, byId } from "./page.js";
import { setToken } from "./session.js";

/** Show recovery codes once; resolves when the reader has put them away. */
export function showRecoveryCodes(codes) {
  const items = codes.map((code) => {
    const item = document.createElement("li");
    item.textContent = code;
    return item;
  });
  byId("recovery-codes").replaceChildren(...items);
  byId("recovery-saved").checked = false;
  byId("recovery-done").disabled = true;
  byId("recovery").hidden = false;
  byId("recovery-title").focus();
  return new Promise((resolve) => {
    byId("recovery-saved").onchange = () => {
      byId("recovery-done").disabled = !byId("recovery-saved").checked;
    };
    byId("recovery-done").onclick = resolve;
  });
}

/** Wire the forms; `password` says which password is known already ("" asks), `finished` is called at the end. */
export function wireEnrolment(password, finished) {
  byId("enrol-form").addEventListener("submit", (event) => {
    event.preventDefault();
    busy(event.target, async (ask) => {
      const proof = { password: password() || byId("enrol-password").value, code: byId("enrol-code")?.value || "" };
      const enrolment = await ask("POST", "/api/v1/account/totp", proof);
      if (!enrolment) return;
      byId("qr").src = URL.createObjectURL(new Blob([enrolment.qr_svg], { type: "image/svg+xml" }));
      byId("secret").textContent = enrolment.secret.replace(/(.{4})(?=.)/g, "$1 ");
      byId("enrol-form").hidden = true;
      byId("confirm-form").hidden = false;
      byId("confirm-code").focus();
    });
  });
  byId("confirm-form").addEventListener("submit", (event) => {
    event.preventDefault();
    busy(event.target, async (ask) => {
      const answer = await ask("POST", "/api/v1/account/totp/confirm", { code: byId("confirm-code").value });
      if (!answer) return;
      setToken(answer.csrf_token);
      byId("confirm-form").hidden = true;
      byId("secret").textContent = "";
      await showRecoveryCodes(answer.recovery_codes);
      finished();
    });
  });
}
