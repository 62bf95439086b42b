import { DinpError, isDinpErrorCode } from "@dinp/core";
import { createClient, type BuildOptions, type BuildView, type Client } from "@dinp/core/client";
import { exchangeByPage, exchangeOfFile, type Sent } from "./exchange.js";

const url = new URL("/api/", location.href).href;

/** The platform's API, behind the dashboard: whoever is signed in asks. */
export const client: Client = createClient({ url, exchange: exchangeByPage });

/** As {@link Client.createBuild}, of a file. */
export function uploadBuild(
  app: string,
  file: File,
  { onSent, ...options }: BuildOptions & { readonly onSent: (sent: Sent) => void },
): Promise<BuildView> {
  const uploading = createClient({ url, exchange: exchangeOfFile(file, onSent) });
  // The exchange sends the file itself.
  return uploading.createBuild(app, new ReadableStream<Uint8Array>(), { ...options, fileName: file.name });
}

/** Begins a session. Rejects with the API's error; the token is kept nowhere in the page. */
export async function signIn(token: string): Promise<void> {
  await send("POST", JSON.stringify({ token }));
}

/** Ends the session. */
export async function signOut(): Promise<void> {
  await send("DELETE", null);
}

async function send(method: "POST" | "DELETE", body: string | null): Promise<void> {
  let answer: Response;
  try {
    answer = await fetch("/session", { method, body, headers: { "content-type": "application/json" } });
  } catch (cause) {
    throw new DinpError("DINP_UNAVAILABLE", "The dashboard does not answer.", { retryable: true, cause });
  }
  if (answer.ok) return;
  const told = (await answer.json().catch(() => null)) as ErrorBody | null;
  throw errorOf(told, answer.status);
}

interface ErrorBody {
  readonly error?: { readonly code?: unknown; readonly message?: string; readonly hint?: string };
}

function errorOf(body: ErrorBody | null, status: number): DinpError {
  const { code, message, hint } = body?.error ?? {};
  return new DinpError(
    isDinpErrorCode(code) ? code : "DINP_INTERNAL",
    message ?? `The dashboard answered with status ${String(status)}.`,
    hint === undefined ? {} : { hint },
  );
}
