import type { HttpBindings } from "@hono/node-server";
import type { OpenAPIHono } from "@hono/zod-openapi";
import type { Caller, DinpError, Logger, Platform, WriteOptions } from "@dinp/core";
import type { Context } from "hono";
import { publicError } from "./errors.js";
import type { LineStreams } from "./line-streams.js";

/** What a request carries from one handler to the next. */
export interface ApiEnv {
  readonly Bindings: HttpBindings;
  readonly Variables: { requestId: string; caller: Caller; ifRevision: number | undefined };
}

export type Api = OpenAPIHono<ApiEnv>;

/** What the endpoints work with. */
export interface ApiOptions {
  readonly platform: Platform;
  readonly logger: Logger;
  readonly scope: "all" | "builds";
  readonly streams: LineStreams;
  /** Between the signs of life of an answer that takes long. */
  readonly heartbeatMs: number;
}

/** What the platform needs to know of a write. */
export function writeOptions(
  c: Context<ApiEnv>,
  key: string | undefined,
  signal?: AbortSignal,
): WriteOptions {
  return { caller: c.get("caller"), idempotencyKey: key, signal, ifRevision: c.get("ifRevision") };
}

/** An answer of JSON lines, each a value of the source. */
export async function answerLines(
  c: Context<ApiEnv>,
  { streams, logger }: ApiOptions,
  source: (signal: AbortSignal) => AsyncIterable<unknown>,
): Promise<Response> {
  const describe = (error: unknown): DinpError => publicError(error, c.get("requestId"), logger);
  const stream = await streams.open(source, describe, c.env.outgoing);
  return c.body(stream, 200, { "content-type": "application/x-ndjson" });
}
