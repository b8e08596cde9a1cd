/** One file on its way to the service: resumable, checked part by part, without its name. */
import { DefaultHttpStack, DetailedError, Upload } from "tus-js-client";
import type { HttpRequest, HttpResponse, HttpStack } from "tus-js-client";

const CHUNK_BYTES = 4 * 2 ** 20;
const RETRY_DELAYS_MS = [0, 1000, 3000, 5000, 10_000, 20_000, 30_000, 60_000, 60_000, 60_000];
const ENDPOINT = "/api/v1/uploads";

export interface Statements {
  readonly [key: string]: string;
}

export interface Arrived {
  readonly slideId: string;
  /** Empty while the slide is being prepared, or its scale is not known. */
  readonly analysisId: string;
  readonly duplicate: boolean;
}

export interface Problem {
  readonly slug: string;
  readonly detail: string;
  readonly requestId: string;
  readonly status: number;
}

export interface Listener {
  progress(sentBytes: number): void;
  retrying(): void;
  resumed(): void;
  arrived(result: Arrived): void;
  failed(problem: Problem): void;
}

async function sha256(data: BufferSource): Promise<Uint8Array> {
  return new Uint8Array(await crypto.subtle.digest("SHA-256", data));
}

/** Adds `Upload-Checksum` to every part; browsers offer the hash only on https and on this machine. */
class CheckedStack implements HttpStack {
  private readonly stack = new DefaultHttpStack({});

  createRequest(method: string, url: string): HttpRequest {
    const request = this.stack.createRequest(method, url);
    const send = request.send.bind(request);
    request.send = async (body: unknown): Promise<HttpResponse> => {
      if (method === "PATCH" && body instanceof Blob && globalThis.isSecureContext) {
        const digest = await sha256(await body.arrayBuffer());
        request.setHeader("Upload-Checksum", `sha256 ${btoa(String.fromCharCode(...digest))}`);
      }
      return send(body as never);
    };
    return request;
  }

  getName(): string {
    return "checked";
  }
}

/** Names the file in this browser's memory of unfinished uploads: a hash, because names of files may name patients. */
async function fingerprint(file: File, statements: Statements): Promise<string> {
  const parts = JSON.stringify([file.name, file.type, file.size, file.lastModified, statements]);
  const hash = globalThis.isSecureContext
    ? [...(await sha256(new TextEncoder().encode(parts)))].map((byte) => byte.toString(16).padStart(2, "0")).join("")
    : `${file.size}-${file.lastModified}`;
  return `tamsoat-${hash}`;
}

function describe(error: Error | DetailedError): Problem {
  const response = error instanceof DetailedError ? error.originalResponse : null;
  let body: { type?: string; detail?: string; request_id?: string } = {};
  try {
    body = JSON.parse(response?.getBody() ?? "{}");
  } catch {
    body = {};
  }
  return {
    slug: (body.type ?? "").split(":").pop() ?? "",
    detail: body.detail ?? "",
    requestId: body.request_id ?? response?.getHeader("X-Request-ID") ?? "",
    status: response?.getStatus() ?? 0,
  };
}

export class Transfer {
  private readonly upload: Upload;

  constructor(file: File, statements: Statements, headers: Record<string, string>, listener: Listener) {
    const repeat = (status: number): boolean => [0, 409, 423, 429, 460, 499].includes(status) || status >= 500;
    this.upload = new Upload(file, {
      endpoint: ENDPOINT,
      chunkSize: CHUNK_BYTES,
      retryDelays: RETRY_DELAYS_MS,
      metadata: { ...statements },
      headers,
      httpStack: new CheckedStack(),
      fingerprint: () => fingerprint(file, statements),
      removeFingerprintOnSuccess: true,
      onProgress: (sent) => listener.progress(sent),
      onShouldRetry: (error) => {
        const status = error.originalResponse?.getStatus() ?? 0;
        const again = repeat(status) && describe(error).slug !== "quota-exceeded";
        if (again) listener.retrying();
        return again;
      },
      onError: (error) => listener.failed(describe(error)),
      onSuccess: ({ lastResponse }) =>
        listener.arrived({
          slideId: lastResponse.getHeader("Tamsoat-Slide") ?? "",
          analysisId: lastResponse.getHeader("Tamsoat-Analysis") ?? "",
          duplicate: lastResponse.getHeader("Tamsoat-Duplicate") === "true",
        }),
    });
    this.listener = listener;
  }

  private readonly listener: Listener;

  /** Go on with an earlier attempt of the same file where there is one, else begin. */
  async start(): Promise<void> {
    const [earlier] = await this.upload.findPreviousUploads();
    if (earlier) {
      this.upload.resumeFromPreviousUpload(earlier);
      this.listener.resumed();
    }
    this.upload.start();
  }

  async pause(): Promise<void> {
    await this.upload.abort(false);
  }

  resume(): void {
    this.upload.start();
  }

  /** Stop for good; what was sent is removed from the server. */
  async giveUp(): Promise<void> {
    await this.upload.abort(true);
  }
}

/** How many uploads this browser remembers as unfinished. */
export function unfinished(): number {
  return Object.keys(localStorage).filter((key) => key.startsWith("tus::tamsoat-")).length;
}
