/** Requests to this service as the signed-in person: the CSRF token goes along, and 401 leads to the sign-in page. */

/** What the server answered instead of success (RFC 9457), or that it could not be reached (`offline`, status 0). */
export class Problem extends Error {
  constructor(
    readonly status: number,
    readonly slug: string,
    readonly detail: string,
    /** The whole problem document. */
    readonly body: Record<string, unknown> = {},
  ) {
    super(detail);
  }
}

let token = document.querySelector<HTMLMetaElement>("meta[name=csrf-token]")?.content ?? null;

export interface Asked {
  body?: unknown;
  headers?: Record<string, string>;
  signal?: AbortSignal;
  /** Let the request outlive the page. */
  keepalive?: boolean;
  /** Stay on the page where somebody has to sign in again: there is something unsaved on it. */
  stay?: boolean;
}

/** Send a request; resolves to the answer and rejects with a {@link Problem}. */
export async function send(method: string, path: string, asked: Asked = {}): Promise<Response> {
  const headers: Record<string, string> = { accept: "application/json", ...asked.headers };
  if (token) headers["X-CSRF-Token"] = token;
  if (asked.body !== undefined) headers["content-type"] = "application/json";
  let response: Response;
  try {
    const body = asked.body === undefined ? null : JSON.stringify(asked.body);
    response = await fetch(path, {
      method, headers, body, signal: asked.signal ?? null, keepalive: asked.keepalive ?? false,
    });
  } catch (error) {
    if (error instanceof DOMException && error.name === "AbortError") throw error;
    throw new Problem(0, "offline", "");
  }
  if (response.ok || response.status === 304) return response;
  throw await problemOf(response, asked.stay ?? false);
}

/**
 * Ask who is signed in now, and use that session's token from now on: somebody signed in again in another window.
 * Resolves to the account's identifier (`local` without sign-in); rejects with a {@link Problem} while nobody is.
 */
export async function renewSession(): Promise<string> {
  const session = await json<{ account_id: string | null; csrf_token: string | null }>("GET", "/api/v1/session", { stay: true });
  token = session.csrf_token;
  return session.account_id ?? "local";
}

/** As {@link send}, with the answer's JSON; undefined where it has no body. */
export async function json<T>(method: string, path: string, asked: Asked = {}): Promise<T> {
  const response = await send(method, path, asked);
  const text = await response.text();
  return (text ? JSON.parse(text) : undefined) as T;
}

async function problemOf(response: Response, stay: boolean): Promise<Problem> {
  let body: Record<string, unknown> = {};
  try {
    body = (await response.json()) as Record<string, unknown>;
  } catch {
    // Not from this service: a proxy in between answers in its own words.
  }
  const slug = String(body.type ?? "").split(":").pop() ?? "";
  if (slug === "not-signed-in" && !stay) {
    location.assign(`/sign-in?next=${encodeURIComponent(location.pathname + location.search)}`);
  }
  return new Problem(response.status, slug, String(body.detail ?? `HTTP ${response.status}`), body);
}
