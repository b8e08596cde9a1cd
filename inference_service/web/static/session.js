/** Requests to this service as the signed-in person: the CSRF token goes along, and 401 leads to the sign-in page. */

let token = document.querySelector("meta[name=csrf-token]")?.content || null;

export function setToken(value) {
  token = value;
}

/** Headers for a request of one's own, for example with XMLHttpRequest or an upload library. */
export function sessionHeaders() {
  return token ? { "X-CSRF-Token": token } : {};
}

export function goToSignIn() {
  const here = location.pathname + location.search;
  location.assign(`/sign-in?next=${encodeURIComponent(here)}`);
}

/** Send `body` as JSON; resolves to {status, body} and rejects only where the server cannot be reached. */
export async function call(method, path, body) {
  const headers = { accept: "application/json", ...sessionHeaders() };
  if (body !== undefined) headers["content-type"] = "application/json";
  const response = await fetch(path, { method, headers, body: body === undefined ? undefined : JSON.stringify(body) });
  const text = await response.text();
  let answer = null;
  try {
    answer = text ? JSON.parse(text) : null;
  } catch {
    answer = null;
  }
  return { status: response.status, body: answer };
}

/** The last part of a problem's type, by which its text is found; "" where the answer is no problem document. */
export function slugOf(problem) {
  return String(problem?.type || "").split(":").pop();
}

export async function signOut() {
  await call("DELETE", "/api/v1/session");
  // Signs out at the hospital's identity provider too, where the person had signed in there; else leads to /sign-in.
  location.assign("/oidc/sign-out");
}
