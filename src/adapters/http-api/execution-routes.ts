import { createRoute, z } from "@hono/zod-openapi";
import type { ExecEvent } from "@dinp/core";
import { answerLines, type Api, type ApiOptions } from "./api-context.js";
import { answerInLines, jsonBody, security, streamFailure } from "./route-parts.js";
import * as schema from "./schema.js";

/** `exec` and `run`: commands beside instances and as one-offs, answered as JSON lines. */

/** 1 MiB in base64. */
const STDIN_LENGTH_MAX = 1_398_104;
const BASE64 = /^(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?$/;

const command = {
  command: z.array(z.string().max(131_072)).min(1).max(256).readonly(),
  stdin: z
    .string()
    .max(STDIN_LENGTH_MAX, "must be at most 1 MiB")
    .regex(BASE64, "must be base64")
    .optional()
    .openapi({ format: "byte" }),
  timeoutMs: z.number().optional(),
};

const execRequestSchema = z
  .strictObject({ ...command, instance: z.string().min(1).max(255).optional() })
  .openapi("ExecRequest");

const runRequestSchema = z.strictObject({ ...command, release: z.number().optional() }).openapi("RunRequest");

const eventSchema = z
  .discriminatedUnion("type", [
    z.object({
      type: z.literal("output"),
      stream: z.enum(["stdout", "stderr"]),
      data: z.string().openapi({ format: "byte" }),
    }),
    z.object({
      type: z.literal("exit"),
      code: z.number().int().nullable(),
      signal: z.string().nullable(),
      message: z.string().nullable(),
    }),
  ])
  .openapi("ExecEvent");

function commandRoute<T extends z.ZodType>(path: string, summary: string, request: T) {
  return createRoute({
    method: "post",
    path,
    summary,
    description:
      "JSON lines: output as it comes (base64), one `exit`, heartbeats in between. No terminal is allocated. " +
      "A client that disconnects ends the command. Not idempotent: send it once.",
    security,
    request: { params: schema.appParams, body: jsonBody(request) },
    responses: { 200: answerInLines("Output and end", eventSchema), ...streamFailure },
  });
}

const execRoute = commandRoute(
  "/v1/apps/{app}/exec",
  "Run a command beside a running instance",
  execRequestSchema,
);
const runRoute = commandRoute(
  "/v1/apps/{app}/run",
  "Run a command as a one-off of a release",
  runRequestSchema,
);

export function addExecutions(api: Api, options: ApiOptions): void {
  const { platform } = options;

  api.openapi(execRoute, (c) => {
    const { stdin, ...request } = c.req.valid("json");
    const { app } = c.req.valid("param");
    const caller = c.get("caller");
    return answerLines(c, options, (signal) =>
      lines(platform.exec(app, { ...request, stdin: decoded(stdin) }, { caller, signal })),
    );
  });

  api.openapi(runRoute, (c) => {
    const { stdin, ...request } = c.req.valid("json");
    const { app } = c.req.valid("param");
    const caller = c.get("caller");
    return answerLines(c, options, (signal) =>
      lines(platform.run(app, { ...request, stdin: decoded(stdin) }, { caller, signal })),
    );
  });
}

function decoded(stdin: string | undefined): Uint8Array | undefined {
  return stdin === undefined ? undefined : Buffer.from(stdin, "base64");
}

async function* lines(events: AsyncIterable<ExecEvent>): AsyncGenerator<object> {
  for await (const event of events) {
    if (event.type === "exit") yield event;
    else yield { type: "output", stream: event.stream, data: Buffer.from(event.bytes).toString("base64") };
  }
}
