import { z } from "@hono/zod-openapi";
import { errorSchema, heartbeatSchema } from "./schema.js";

/** What the descriptions of endpoints have in common. */

export const failure = {
  default: {
    description: "An error: its code says which",
    content: { "application/json": { schema: errorSchema } },
  },
};

/** An entry without a schema is what lets a handler answer with a stream. */
export const streamFailure = { 401: { description: "The token is missing or not valid" }, ...failure };

/** All endpoints but `info` ask for a token. */
export const security = [{ token: [] }];

export function answer<T extends z.ZodType>(description: string, of: T) {
  return { description, content: { "application/json": { schema: of } } };
}

/** A stream of values as JSON lines. */
export function answerInLines<L extends z.ZodType>(description: string, line: L) {
  return { description, content: { "application/x-ndjson": { schema: lineOf(line) } } };
}

/** One value, or a stream of them as JSON lines (`follow=true`). */
export function answerOrLines<T extends z.ZodType, L extends z.ZodType>(description: string, of: T, line: L) {
  const content = {
    "application/json": { schema: of },
    "application/x-ndjson": { schema: lineOf(line) },
  };
  return { description, content };
}

function lineOf<L extends z.ZodType>(line: L) {
  return z.union([line, heartbeatSchema, errorSchema]);
}

export function jsonBody<T extends z.ZodType>(of: T) {
  return { required: true, content: { "application/json": { schema: of } } };
}

/** Bytes, as they are. */
export const binary = { schema: z.string().openapi({ format: "binary" }) };
