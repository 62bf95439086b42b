import { randomUUID } from "node:crypto";
import type { HttpBindings } from "@hono/node-server";
import { OpenAPIHono } from "@hono/zod-openapi";
import { DinpError, type Caller, type Logger, type Platform, type WriteOptions } from "@dinp/core";
import type { Context, MiddlewareHandler } from "hono";
import { statusByCode } from "./codes.js";
import { errorBody, publicError } from "./errors.js";
import type { LineStreams } from "./line-streams.js";
import { readJsonBody, WrongTypeError } from "./request-body.js";
import { addReads } from "./reads.js";
import { addWrites } from "./writes.js";
import { infoRoute } from "./routes.js";

export interface ApiEnv {
  readonly Bindings: HttpBindings;
  readonly Variables: { requestId: string; caller: Caller };
}

export type Api = OpenAPIHono<ApiEnv>;

export interface AppOptions {
  readonly platform: Platform;
  readonly logger: Logger;
  readonly streams: LineStreams;
}

const UPLOAD_PATH = /^\/v1\/apps\/[^/]+\/builds$/;

/** The API as a function from requests to answers. */
export function createApp(options: AppOptions): Api {
  const { platform, logger } = options;
  const api: Api = new OpenAPIHono<ApiEnv>({
    defaultHook: (result) => {
      if (!result.success) throw invalidInput(result.error.issues, result.target);
    },
  });
  api.onError((error, c) => {
    const told = publicError(error, c.get("requestId"), logger);
    if (told.code === "DINP_UNAUTHENTICATED") c.header("www-authenticate", "Bearer");
    const status = told instanceof WrongTypeError ? 415 : statusByCode[told.code];
    return answerJson(c, errorBody(told), status);
  });
  api.notFound((c) => {
    const message = `There is no ${c.req.method} ${c.req.path.slice(0, 200)} here.`;
    return answerJson(
      c,
      errorBody(new DinpError("DINP_NOT_FOUND", message, { hint: "See /openapi.json." })),
      404,
    );
  });
  api.use("*", describeRequest(logger));
  api.get("/healthz", (c) => c.text("ok\n"));
  api.openapi(infoRoute, (c) => c.json(platform.info(), 200));
  addDocument(api, platform);
  api.use("/v1/*", requireToken(platform));
  api.use("/v1/*", guardBody);
  addReads(api, options);
  addWrites(api, options);
  return api;
}

function answerJson(c: Context<ApiEnv>, body: object, status: number): Response {
  const headers = new Headers(c.res.headers);
  headers.set("content-type", "application/json");
  return new Response(JSON.stringify(body), { status, headers });
}

/** What every answer carries, and a line of log about it. */
function describeRequest(logger: Logger): MiddlewareHandler<ApiEnv> {
  return async (c, next) => {
    const requestId = randomUUID();
    c.set("requestId", requestId);
    c.header("x-request-id", requestId);
    c.header("cache-control", "no-store");
    c.header("x-content-type-options", "nosniff");
    c.header("content-security-policy", "default-src 'none'; frame-ancestors 'none'");
    const startedAt = performance.now();
    await next();
    logger.debug("request", {
      requestId,
      method: c.req.method,
      path: c.req.path.slice(0, 300),
      status: c.res.status,
      durationMs: Math.round(performance.now() - startedAt),
    });
  };
}

function requireToken(platform: Platform): MiddlewareHandler<ApiEnv> {
  return async (c, next) => {
    const match = /^Bearer +([\x21-\x7e]{1,512})$/i.exec(c.req.header("authorization") ?? "");
    if (match?.[1] === undefined) {
      throw new DinpError("DINP_UNAUTHENTICATED", "This request carries no token.", {
        hint: "Log in first (`dinp login`), or send the header `Authorization: Bearer TOKEN`.",
      });
    }
    c.set("caller", await platform.authenticate(match[1]));
    await next();
  };
}

/** All bodies but uploads are small JSON: read and checked here, once, and handed on as a request of known size. */
const guardBody: MiddlewareHandler<ApiEnv> = async (c, next) => {
  const { method, path } = c.req;
  if (method === "GET" || method === "HEAD" || (method === "POST" && UPLOAD_PATH.test(path))) {
    await next();
    return;
  }
  const text = await readJsonBody(c.env);
  const headers = new Headers(c.req.header());
  c.req.raw = new Request(c.req.url, { method, headers, ...(text === "" ? {} : { body: text }) });
  await next();
};

interface Issue {
  readonly message: string;
  readonly path: readonly PropertyKey[];
}

const PLACES: ReadonlyMap<string, string> = new Map([
  ["json", "body"],
  ["query", "query"],
  ["param", "path"],
  ["header", "header"],
]);

/** Says which field is wrong and why; never with its value, which may be secret. */
function invalidInput(issues: readonly Issue[], target: string): DinpError {
  const place = PLACES.get(target) ?? target;
  const told = issues.slice(0, 5).map((issue) => {
    const field = issue.path.map((part) => String(part).slice(0, 100)).join(".");
    return field === "" ? issue.message : `${field}: ${issue.message}`;
  });
  const field = issues[0]?.path.map((part) => String(part).slice(0, 100)).join(".") ?? "";
  return new DinpError("DINP_INVALID", `The request's ${place} is not valid. ${told.join("; ")}.`, {
    hint: "See /openapi.json for what this endpoint takes.",
    details: { field: field === "" ? place : field },
  });
}

function addDocument(api: Api, platform: Platform): void {
  let document: object | null = null;
  api.openAPIRegistry.registerComponent("securitySchemes", "token", { type: "http", scheme: "bearer" });
  api.get("/openapi.json", (c) => {
    document ??= api.getOpenAPI31Document({
      openapi: "3.1.0",
      info: { title: "DINP", version: platform.info().version },
    });
    return c.json(document);
  });
}

/** What the platform needs to know of a write. */
export function writeOptions(
  c: Context<ApiEnv>,
  key: string | undefined,
  signal?: AbortSignal,
): WriteOptions {
  return { caller: c.get("caller"), idempotencyKey: key, signal };
}
