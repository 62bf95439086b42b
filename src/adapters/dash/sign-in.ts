import type { IncomingMessage } from "node:http";
import { DinpError } from "@dinp/core";
import type { Call } from "./call.js";
import { readBody } from "./request-body.js";

const BYTES_MAX = 4_096;
/** What the API takes for a token. */
const TOKEN = /^[\x21-\x7e]{1,512}$/;

/** The token of a request to sign in: JSON, `{"token": "…"}`. `DINP_INVALID`; never with the token in it. */
export async function readSignIn(request: IncomingMessage, timeoutMs: number): Promise<string> {
  const body = await readBody(request, { bytesMax: BYTES_MAX, timeoutMs });
  if (!/^application\/json\s*(?:;|$)/i.test(request.headers["content-type"] ?? ""))
    throw new DinpError("DINP_INVALID", "Signing in takes JSON.", {
      hint: "Send content-type: application/json.",
    });
  const token = tokenIn(body.toString("utf8"));
  if (token !== null && TOKEN.test(token)) return token;
  throw new DinpError("DINP_INVALID", "That is no token: tokens are one line without spaces.", {
    hint: "Give it as it was printed.",
    details: { field: "token" },
  });
}

function tokenIn(text: string): string | null {
  try {
    const value: unknown = JSON.parse(text);
    if (typeof value !== "object" || value === null || !("token" in value)) return null;
    return typeof value.token === "string" ? value.token : null;
  } catch {
    return null;
  }
}

/** Asks the API whose token it is: only a good one begins a session. */
export function sessionCall(answerMs: number): Call {
  const headers = { accept: "application/json" };
  return { method: "GET", target: "/v1/session", headers, body: null, isRepeatable: true, answerMs };
}
