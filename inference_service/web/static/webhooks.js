/** The delivery log: send a delivery again. */
import { busy, byId, showNotice } from "./page.js";

for (const button of document.querySelectorAll("button[data-resend]")) {
  button.addEventListener("click", () =>
    busy(button, async (ask) => {
      const sent = await ask("POST", `/api/v1/deliveries/${button.dataset.resend}/resend`);
      if (sent) showNotice(byId("deliveries").dataset.sent);
    }),
  );
}
