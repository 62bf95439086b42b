import { randomUUID } from "node:crypto";
import { OpenAPIHono } from "@hono/zod-openapi";
import { DinpError, type Logger, type Platform } from "@dinp/core";
import type { Context, MiddlewareHandler } from "hono";
import type { Api, ApiEnv, ApiOptions } from "./api-context.js";
import { addBases } from "./base-routes.js";
import { addBuilds } from "./build-routes.js";
import { statusByCode } from "./codes.js";
import { conditional } from "./conditional.js";
import { errorBody, publicError } from "./errors.js";
import { addExecutions } from "./execution-routes.js";
import { MethodNotAllowedError, methodsOf } from "./methods.js";
import { readJsonBody, WrongTypeError } from "./request-body.js";
import { addNodes } from "./node-routes.js";
import { answererOf } from "./peers.js";
import { addPlans } from "./plan-routes.js";
import { addReads } from "./reads.js";
import { addRegistries } from "./registry-routes.js";
import { assertReach } from "./role-reach.js";
import { addRouters } from "./router-routes.js";
import { addSecretKeys } from "./secret-routes.js";
import { addWrites } from "./writes.js";
import { infoRoute } from "./routes.js";

const JSON_BYTES_MAX = 1024 * 1024;
/** A command's input is up to 1 MiB, in base64. */
const COMMAND_PATH = /^\/v1\/apps\/[^/]+\/(?:exec|run)$/;
const COMMAND_BYTES_MAX = 2 * JSON_BYTES_MAX;
/** Where servers listen for agents, on an address of its own. */
const LINK_PATH = "/v1/link";
const UPLOAD_PATH = /^\/v1\/(?:apps\/[^/]+\/builds|bases\/[^/]+\/archive)$/;

/** The API as a function from requests to answers. */
export function createApi(options: ApiOptions): Api {
  const { platform, logger } = options;
  const api: Api = new OpenAPIHono<ApiEnv>({
    defaultHook: (result) => {
      if (!result.success) throw invalidInput(result.error.issues, result.target);
    },
  });
  api.onError((error, c) => {
    const told = publicError(error, c.get("requestId"), logger);
    if (told.code === "DINP_UNAUTHENTICATED") c.header("www-authenticate", "Bearer");
    const status = statusOf(told);
    return answerJson(c, errorBody(told), status);
  });
  api.notFound((c) => {
    const { method, path } = c.req;
    const allowed = methodsOf(api.routes, path);
    const told =
      allowed.length === 0 ? nothingHere(method, path) : new MethodNotAllowedError(method, allowed);
    if (told instanceof MethodNotAllowedError) c.header("allow", allowed.join(", "));
    return answerJson(c, errorBody(told), statusOf(told));
  });
  api.use("*", describeRequest(logger));
  api.get("/healthz", (c) => c.text("ok\n"));
  api.openapi(infoRoute, (c) => c.json(platform.info(), 200));
  addDocument(api, platform);
  if (options.scope === "builds") api.use("/v1/*", onlyBuilds);
  api.use(LINK_PATH, () => {
    throw noLinkHere();
  });
  api.use("/v1/*", requireToken(platform));
  api.use("/v1/*", conditional);
  api.use("/v1/*", guardBody);
  addReads(api, options);
  addWrites(api, options);
  addBuilds(api, options);
  addBases(api, options);
  addRegistries(api, options);
  addSecretKeys(api, options);
  addNodes(api, options);
  addRouters(api, options);
  addExecutions(api, options);
  addPlans(api, options);
  return api;
}

function nothingHere(method: string, path: string): DinpError {
  const message = `There is no ${harmless(`${method} ${path}`, 200)} here.`;
  return new DinpError("DINP_NOT_FOUND", message, { hint: "See /openapi.json." });
}

/** What an agent learns that was given the API's address; it would take the refusal of its key for one by a server. */
function noLinkHere(): DinpError {
  return new DinpError("DINP_NOT_FOUND", "Agents do not connect here: this is the API.", {
    hint: "Give agents the address of server.linkListen, whose port is 7443 unless it was changed.",
  });
}

function statusOf(error: DinpError): number {
  if (error instanceof WrongTypeError) return 415;
  if (error instanceof MethodNotAllowedError) return 405;
  // RFC 9110 section 15.5.13: the condition of the request was false.
  return error.details["precondition"] === true ? 412 : statusByCode[error.code];
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
      path: harmless(c.req.path, 300),
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
    const caller = await platform.authenticate(match[1]);
    assertReach(caller, c.req.method, c.req.path);
    c.set("caller", caller);
    await next();
  };
}

const onlyBuilds: MiddlewareHandler<ApiEnv> = async (c, next) => {
  const { method, path } = c.req;
  if (answererOf(method, path) !== "builder") throw nothingHere(method, path);
  await next();
};

/** All bodies but uploads are small JSON: read and checked here, once, and handed on as a request of known size. */
const guardBody: MiddlewareHandler<ApiEnv> = async (c, next) => {
  const { method, path } = c.req;
  if (method === "GET" || method === "HEAD" || (method === "POST" && UPLOAD_PATH.test(path))) {
    await next();
    return;
  }
  const text = await readJsonBody(c.env, COMMAND_PATH.test(path) ? COMMAND_BYTES_MAX : JSON_BYTES_MAX);
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
    const field = fieldOf(issue);
    const message = harmless(issue.message, 300);
    return field === "" ? message : `${field}: ${message}`;
  });
  const [first] = issues;
  const field = first === undefined ? "" : fieldOf(first);
  return new DinpError("DINP_INVALID", `The request's ${place} is not valid. ${told.join("; ")}.`, {
    hint: "See /openapi.json for what this endpoint takes.",
    details: { field: field === "" ? place : field },
  });
}

function fieldOf({ path }: Issue): string {
  return path.map((part) => harmless(String(part), 100)).join(".");
}

/** Names of fields are the client's: they must not reach a terminal or a log as they are. */
function harmless(text: string, lengthMax: number): string {
  const cut = text.length > lengthMax ? `${text.slice(0, lengthMax - 1)}…` : text;
  return cut.replace(/[\p{Cc}\p{Cs}\p{Zl}\p{Zp}\p{Bidi_Control}]/gu, "\ufffd");
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
