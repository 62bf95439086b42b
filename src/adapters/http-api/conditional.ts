import { createHash } from "node:crypto";
import type { MiddlewareHandler } from "hono";
import { DinpError } from "@dinp/core";
import type { ApiEnv } from "./api-context.js";

const JSON_TYPE = /^application\/json/;
const READ = new Set(["GET", "HEAD"]);
/** The entity tag of an app: its revision, then its representation. */
const APP_TAG = /^"([0-9]{1,15})-[0-9a-f]{32}"$/;

/**
 * Conditional requests (RFC 9110 sections 8.8.3 and 13): every JSON answer to a GET has an `ETag`, and `If-None-Match`
 * turns it into 304. `If-Match` on a write of an app takes the tag of `GET /v1/apps/{app}`; what counts of it is the
 * revision of what is wanted, so that an instance that got ready meanwhile is no conflict.
 */
export const conditional: MiddlewareHandler<ApiEnv> = async (c, next) => {
  const match = c.req.header("if-match");
  if (!READ.has(c.req.method)) {
    assertNoIfNoneMatch(c.req.header("if-none-match"));
    if (match !== undefined) c.set("ifRevision", revisionIn(match));
  }
  await next();
  if (!READ.has(c.req.method) || c.res.status !== 200) return;
  if (!JSON_TYPE.test(c.res.headers.get("content-type") ?? "")) return;
  const text = await c.res.clone().text();
  const hash = createHash("sha256").update(text).digest("hex").slice(0, 32);
  const revision = /^\/v1\/apps\/[^/]+$/.test(c.req.path) ? revisionOf(text) : null;
  const tag = revision === null ? `"${hash}"` : `"${String(revision)}-${hash}"`;
  c.res.headers.set("etag", tag);
  if (!isNamed(c.req.header("if-none-match"), tag)) return;
  const headers = new Headers(c.res.headers);
  headers.delete("content-type");
  headers.delete("content-length");
  c.res = new Response(null, { status: 304, headers });
};

function isNamed(field: string | undefined, tag: string): boolean {
  if (field === undefined) return false;
  // Weak comparison: a proxy may have marked the tag so.
  return field.split(",").some((part) => {
    const given = part.trim();
    return given === "*" || given.replace(/^W\//, "") === tag;
  });
}

function revisionOf(text: string): number | null {
  const value: unknown = JSON.parse(text);
  if (typeof value !== "object" || value === null || !("revision" in value)) return null;
  return typeof value.revision === "number" ? value.revision : null;
}

const ENTITY_TAGS =
  /^[ \t]*(?:W\/)?"[\x21\x23-\x7e\x80-\xff]*"(?:[ \t]*,[ \t]*(?:W\/)?"[\x21\x23-\x7e\x80-\xff]*")*[ \t]*$/;

/**
 * The newest revision in an `If-Match` field: revisions only grow, so of several that a client has seen no older one can
 * be the present. Undefined for `*`, which any app matches. Other tags, and weak ones, match nothing (RFC 9110 section 13.1.1).
 */
function revisionIn(field: string): number | undefined {
  if (field.trim() === "*") return undefined;
  if (!ENTITY_TAGS.test(field)) {
    throw new DinpError("DINP_INVALID", "The header If-Match holds no entity tag.", {
      hint: "Send the ETag that GET /v1/apps/{app} answered with, as it is.",
      details: { field: "if-match" },
    });
  }
  const revisions = field.split(",").flatMap((tag) => APP_TAG.exec(tag.trim())?.[1] ?? []);
  if (revisions.length > 0) return Math.max(...revisions.map(Number));
  throw new DinpError("DINP_CONFLICT", "The header If-Match holds no tag that an app could have now.", {
    hint: "Send the ETag that GET /v1/apps/{app} answered with, as it is.",
    details: { field: "if-match", precondition: true },
  });
}

function assertNoIfNoneMatch(field: string | undefined): void {
  if (field === undefined) return;
  throw new DinpError("DINP_INVALID", "The header If-None-Match is taken with GET and HEAD only.", {
    hint: "To write only what was read, send its ETag as If-Match.",
    details: { field: "if-none-match" },
  });
}
