import { createRoute, z } from "@hono/zod-openapi";
import { writeOptions, type Api, type ApiOptions } from "./api-context.js";
import { answer, failure, jsonBody, security } from "./route-parts.js";
import * as schema from "./schema.js";

/** Which routers drains and ports wait for, and the tokens by which they register. */

const versionSchema = z.object({
  incarnation: z.string(),
  epoch: z.number().int(),
  revision: z.number().int(),
});
const count = z.number().int().nullable();
const routerSchema = z
  .object({
    id: z.string(),
    address: z.string(),
    registeredAt: z.number(),
    acknowledged: versionSchema.nullable().openapi({ description: "The newest table that it goes by" }),
    behind: count.openapi({ description: "By how many revisions that is behind the present table" }),
    busy: count.openapi({ description: "Instances off its table with a request in flight" }),
    holdsUp: count.openapi({ description: "Instances whose ports wait for its acknowledgement" }),
  })
  .openapi("Router");
const routerRequestSchema = z
  .strictObject({ address: z.string().max(255).optional() })
  .openapi("RouterRequest");
const tokenSchema = z.object({ id: z.string(), createdAt: z.number() }).openapi("RouterToken");
const newTokenSchema = z
  .object({ id: z.string(), subject: z.string(), secret: z.string() })
  .openapi("NewRouterToken");
const params = z.strictObject({ id: z.string().min(1).max(255) });

const listRoutersRoute = createRoute({
  method: "get",
  path: "/v1/routers",
  summary: "Routers that drains and ports wait for, by id",
  description: "What only the leading server knows is null where nobody says it.",
  security,
  responses: { 200: answer("Routers", schema.listOf(routerSchema)), ...failure },
});

const registerRouterRoute = createRoute({
  method: "put",
  path: "/v1/routers/{id}",
  summary: "Register a router; idempotent",
  description: "Admins and routers' tokens only. What the router serves must be read after the answer.",
  security,
  request: { params, body: jsonBody(routerRequestSchema) },
  responses: { 200: answer("The router is waited for", routerSchema), ...failure },
});

const forgetRouterRoute = createRoute({
  method: "delete",
  path: "/v1/routers/{id}",
  summary: "Wait for a router no more",
  description:
    "Admins only. `confirm=true` is needed while the router seems to be at work (DINP_CONFIRMATION_REQUIRED).",
  security,
  request: { params, headers: schema.writeHeaders, query: schema.deleteQuery },
  responses: { 200: answer("It is forgotten", schema.deletedSchema), ...failure },
});

const listTokensRoute = createRoute({
  method: "get",
  path: "/v1/router-tokens",
  summary: "Routers' tokens, without their secrets, by id",
  security,
  responses: { 200: answer("Tokens", schema.listOf(tokenSchema)), ...failure },
});

const createTokenRoute = createRoute({
  method: "post",
  path: "/v1/router-tokens",
  summary: "Make a token by which routers register",
  description:
    "Admins only. The secret is in this answer and nowhere else: a repetition with the same idempotency key makes another token.",
  security,
  request: { headers: schema.writeHeaders },
  responses: { 201: answer("The token, with its secret", newTokenSchema), ...failure },
});

const revokeTokenRoute = createRoute({
  method: "delete",
  path: "/v1/router-tokens/{id}",
  summary: "Let no more routers register by a token; those that have stay",
  description: "Admins only.",
  security,
  request: { params, headers: schema.writeHeaders },
  responses: { 200: answer("It is gone", schema.deletedSchema), ...failure },
});

export function addRouters(api: Api, { platform }: ApiOptions): void {
  api.openapi(listRoutersRoute, async (c) => c.json({ items: await platform.listRouters() }, 200));

  api.openapi(registerRouterRoute, async (c) => {
    const { id } = c.req.valid("param");
    return c.json(await platform.registerRouter(id, c.req.valid("json"), writeOptions(c, undefined)), 200);
  });

  api.openapi(forgetRouterRoute, async (c) => {
    const options = writeOptions(c, c.req.valid("header")["idempotency-key"]);
    return c.json(await platform.forgetRouter(c.req.valid("param").id, c.req.valid("query"), options), 200);
  });

  api.openapi(listTokensRoute, async (c) => c.json({ items: await platform.listRouterTokens() }, 200));

  api.openapi(createTokenRoute, async (c) => {
    const options = writeOptions(c, c.req.valid("header")["idempotency-key"]);
    return c.json(await platform.createRouterToken(options), 201);
  });

  api.openapi(revokeTokenRoute, async (c) => {
    const options = writeOptions(c, c.req.valid("header")["idempotency-key"]);
    return c.json(await platform.revokeRouterToken(c.req.valid("param").id, options), 200);
  });
}
