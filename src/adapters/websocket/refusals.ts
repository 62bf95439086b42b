import { STATUS_CODES, type IncomingMessage } from "node:http";
import type { Duplex } from "node:stream";
import { DinpError, isDinpErrorCode, type DinpErrorCode } from "@dinp/core";
import { z } from "zod";

/** An answer to an upgrade that is no upgrade. */
export interface Refusal {
  readonly status: number;
  readonly code: DinpErrorCode;
  readonly message: string;
  readonly hint?: string;
  /** Where to go instead. */
  readonly location?: string;
}

const BODY_BYTES_MAX = 16 * 1024;

const statuses: Partial<Record<DinpErrorCode, number>> = {
  DINP_INVALID: 400,
  DINP_UNAUTHENTICATED: 401,
  DINP_FORBIDDEN: 403,
  DINP_NOT_FOUND: 404,
  DINP_CONFLICT: 409,
  DINP_BUSY: 503,
};

/** How an error is answered; of one that is none of ours, nothing is told. */
export function refusalOf(error: unknown): Refusal {
  if (!(error instanceof DinpError)) {
    return { status: 500, code: "DINP_INTERNAL", message: "The server failed." };
  }
  const { code, message, hint } = error;
  return { status: statuses[code] ?? 503, code, message, ...(hint === undefined ? {} : { hint }) };
}

/** Answers, and ends the connection. */
export function refuse(socket: Duplex, refusal: Refusal): void {
  const { status, location, ...told } = refusal;
  const body = JSON.stringify({ error: told });
  const head = [
    `HTTP/1.1 ${String(status)} ${STATUS_CODES[status] ?? "Refused"}`,
    "Connection: close",
    "Content-Type: application/json",
    `Content-Length: ${String(Buffer.byteLength(body))}`,
    ...(location === undefined ? [] : [`Location: ${location}`]),
    ...(status === 401 ? ["WWW-Authenticate: Bearer"] : []),
    ...(status === 503 ? ["Retry-After: 1"] : []),
  ];
  socket.once("finish", () => socket.destroy());
  socket.end(`${head.join("\r\n")}\r\n\r\n${body}`);
}

const bodySchema = z.object({
  error: z.object({ code: z.string(), message: z.string(), hint: z.string().exactOptional() }),
});

/** What a server answered instead of an upgrade, whoever it was. */
export async function readRefusal(response: IncomingMessage): Promise<Refusal> {
  const status = response.statusCode ?? 0;
  const { location } = response.headers;
  const where = location === undefined ? {} : { location };
  const body = bodySchema.safeParse(await readJson(response));
  if (!body.success)
    return {
      status,
      code: "DINP_UNAVAILABLE",
      message: `it answered with status ${String(status)}`,
      ...where,
    };
  const { code, ...told } = body.data.error;
  return { status, code: isDinpErrorCode(code) ? code : "DINP_UNAVAILABLE", ...told, ...where };
}

async function readJson(response: IncomingMessage): Promise<unknown> {
  const chunks: Buffer[] = [];
  let bytes = 0;
  try {
    for await (const chunk of response) {
      const part = Buffer.from(chunk as Uint8Array);
      bytes += part.length;
      if (bytes > BODY_BYTES_MAX) return null;
      chunks.push(part);
    }
    return JSON.parse(Buffer.concat(chunks).toString());
  } catch {
    return null;
  }
}
