/** Accounts of the facility: create, change, disable, reset; the access review. */
import { busy, byId, texts } from "./page.js";

const DANGEROUS = ["disable", "reset-password", "reset-totp", "sign-out"];
let chosen = null;
let action = "";

function open(dialog) {
  for (const line of dialog.querySelectorAll("[role=alert]")) line.hidden = true;
  dialog.showModal();
}

function rolesOf(prefix) {
  return [...document.querySelectorAll(`input[name=${prefix}-role]:checked`)].map((box) => box.value);
}

/** Show a one-time password; the page is loaded anew when the dialog is closed. */
function showPassword(account) {
  byId("one-time-for").textContent = `${account.display_name} (${account.username})`;
  byId("one-time").textContent = account.one_time_password;
  byId("password-dialog").addEventListener("close", () => location.reload(), { once: true });
  open(byId("password-dialog"));
}

byId("create").addEventListener("click", () => open(byId("create-dialog")));
byId("create-form").addEventListener("submit", (event) => {
  event.preventDefault();
  busy(event.target, async (ask) => {
    const sent = {
      username: byId("create-username").value,
      display_name: byId("create-name").value,
      roles: rolesOf("create"),
    };
    const account = await ask("POST", "/api/v1/accounts", sent);
    if (!account) return;
    byId("create-dialog").close();
    showPassword(account);
  });
});

function edit() {
  byId("edit-name").value = chosen.name;
  const held = chosen.roles.split(" ");
  for (const box of document.querySelectorAll("input[name=edit-role]")) box.checked = held.includes(box.value);
  open(byId("edit-dialog"));
}

function confirm() {
  const label = texts[`action_${action.replace("-", "_")}`];
  byId("confirm-title").textContent = `${label}: ${chosen.name} (${chosen.username})`;
  byId("confirm-text").textContent = texts[`confirm_${action.replace("-", "_")}`];
  byId("confirm-form").querySelector("[type=submit]").classList.toggle("danger", DANGEROUS.includes(action));
  open(byId("confirm-dialog"));
}

for (const button of document.querySelectorAll("button[data-action]")) {
  button.addEventListener("click", () => {
    const menu = button.closest("details");
    menu.open = false;
    chosen = menu.dataset;
    action = button.dataset.action;
    if (action === "edit") edit();
    else confirm();
  });
}

byId("edit-form").addEventListener("submit", (event) => {
  event.preventDefault();
  busy(event.target, async (ask) => {
    const sent = { display_name: byId("edit-name").value, roles: rolesOf("edit") };
    if (await ask("PATCH", `/api/v1/accounts/${chosen.id}`, sent)) location.reload();
  });
});

byId("confirm-form").addEventListener("submit", (event) => {
  event.preventDefault();
  busy(event.target, async (ask) => {
    const account = await ask("POST", `/api/v1/accounts/${chosen.id}/${action}`);
    if (!account) return;
    byId("confirm-dialog").close();
    if (account.one_time_password) showPassword(account);
    else location.reload();
  });
});

for (const button of document.querySelectorAll("[data-close]")) {
  button.addEventListener("click", () => button.closest("dialog").close());
}
byId("copy").addEventListener("click", async () => {
  await navigator.clipboard.writeText(byId("one-time").textContent);
  byId("copy").textContent = texts.copied;
});
byId("review-record").addEventListener("click", (event) => {
  busy(event.target, async (ask) => {
    if (await ask("POST", "/api/v1/access-review")) location.reload();
  });
});
document.addEventListener("click", (event) => {
  for (const menu of document.querySelectorAll("details.menu[open]")) {
    if (!menu.contains(event.target)) menu.open = false;
  }
});
document.addEventListener("keydown", (event) => {
  if (event.key !== "Escape") return;
  for (const menu of document.querySelectorAll("details.menu[open]")) {
    menu.open = false;
    menu.querySelector("summary").focus();
  }
});
