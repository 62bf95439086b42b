import { createRoute, z } from "@hono/zod-openapi";
import { writeOptions, type Api, type ApiOptions } from "./api-context.js";
import { answer, failure, jsonBody, security } from "./route-parts.js";
import * as schema from "./schema.js";

/** Which nodes may connect: join tokens, and the end of a node's leave. */

const joinToken = {
  id: z.string(),
  createdAt: z.number(),
  createdBy: z.string(),
  expiresAt: z.number(),
};
const joinTokenSchema = z.object(joinToken).openapi("JoinToken");
const newJoinTokenSchema = z.object({ ...joinToken, secret: z.string() }).openapi("NewJoinToken");
const joinTokenRequestSchema = z
  .strictObject({ ttlMs: z.number().int().min(60_000).max(2_592_000_000).optional() })
  .openapi("JoinTokenRequest");
const params = z.strictObject({ id: z.string().min(1).max(255) });
const revokedSchema = z.object({ revoked: z.literal(true) });

const listJoinTokensRoute = createRoute({
  method: "get",
  path: "/v1/join-tokens",
  summary: "Join tokens that have not expired, without their secrets, by id",
  security,
  responses: { 200: answer("Join tokens", schema.listOf(joinTokenSchema)), ...failure },
});

const createJoinTokenRoute = createRoute({
  method: "post",
  path: "/v1/join-tokens",
  summary: "Make a token by which nodes can join",
  description:
    "Admins only. The secret is in this answer and nowhere else: a repetition with the same idempotency key makes another token.",
  security,
  request: { headers: schema.writeHeaders, body: jsonBody(joinTokenRequestSchema) },
  responses: { 201: answer("The token, with its secret", newJoinTokenSchema), ...failure },
});

const revokeJoinTokenRoute = createRoute({
  method: "delete",
  path: "/v1/join-tokens/{id}",
  summary: "Let no more nodes join by a token; those that have stay",
  description: "Admins only.",
  security,
  request: { params, headers: schema.writeHeaders },
  responses: { 200: answer("It is gone", schema.deletedSchema), ...failure },
});

const revokeNodeRoute = createRoute({
  method: "post",
  path: "/v1/nodes/{id}/revoke",
  summary: "End a node's connection, and let it in no more",
  description: "Admins only. A join token that is made later lets a node of this id in again.",
  security,
  request: { params, headers: schema.writeHeaders },
  responses: { 200: answer("It is let in no more", revokedSchema), ...failure },
});

export function addNodes(api: Api, { platform }: ApiOptions): void {
  api.openapi(listJoinTokensRoute, async (c) => c.json({ items: await platform.listJoinTokens() }, 200));

  api.openapi(createJoinTokenRoute, async (c) => {
    const options = writeOptions(c, c.req.valid("header")["idempotency-key"]);
    return c.json(await platform.createJoinToken(c.req.valid("json"), options), 201);
  });

  api.openapi(revokeJoinTokenRoute, async (c) => {
    const options = writeOptions(c, c.req.valid("header")["idempotency-key"]);
    return c.json(await platform.revokeJoinToken(c.req.valid("param").id, options), 200);
  });

  api.openapi(revokeNodeRoute, async (c) => {
    const options = writeOptions(c, c.req.valid("header")["idempotency-key"]);
    return c.json(await platform.revokeNode(c.req.valid("param").id, options), 200);
  });
}
