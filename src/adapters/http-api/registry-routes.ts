import { createRoute, z } from "@hono/zod-openapi";
import { writeOptions, type Api, type ApiOptions } from "./api-context.js";
import { answer, failure, jsonBody, security } from "./route-parts.js";
import * as schema from "./schema.js";

/** Registries besides the platform's own: where images may be taken from. */

const registrySchema = z
  .object({
    host: z.string(),
    username: z.string().nullable(),
    hasCa: z.boolean(),
    plainHttp: z.boolean(),
    createdAt: z.number(),
    createdBy: z.string(),
  })
  .openapi("Registry");

const registryRequestSchema = z
  .strictObject({
    username: z.string().max(255).optional(),
    password: z.string().max(4_096).optional(),
    ca: z.string().max(262_144).optional(),
    plainHttp: z.boolean().optional(),
  })
  .openapi("RegistryRequest");
const params = z.strictObject({ host: z.string().min(1).max(300) });

const listRegistriesRoute = createRoute({
  method: "get",
  path: "/v1/registries",
  summary: "Registries that images may be taken from, by host",
  security,
  responses: { 200: answer("Registries, without passwords", schema.listOf(registrySchema)), ...failure },
});

const addRegistryRoute = createRoute({
  method: "post",
  path: "/v1/registries/{host}",
  summary: "Allow images of a registry, and say how it is spoken to",
  description:
    "The host as references have it, with its port if it has one. Replaces what was said before. The password is sealed " +
    "and never given out again.",
  security,
  request: { params, headers: schema.writeHeaders, body: jsonBody(registryRequestSchema) },
  responses: { 201: answer("The registry, without its password", registrySchema), ...failure },
});

const removeRegistryRoute = createRoute({
  method: "delete",
  path: "/v1/registries/{host}",
  summary: "Take no more images from a registry; those that were taken stay",
  security,
  request: { params, headers: schema.writeHeaders },
  responses: { 200: answer("It is gone", schema.deletedSchema), ...failure },
});

export function addRegistries(api: Api, { platform }: ApiOptions): void {
  api.openapi(listRegistriesRoute, async (c) => c.json({ items: await platform.listRegistries() }, 200));

  api.openapi(addRegistryRoute, async (c) => {
    const options = writeOptions(c, c.req.valid("header")["idempotency-key"]);
    return c.json(await platform.addRegistry(c.req.valid("param").host, c.req.valid("json"), options), 201);
  });

  api.openapi(removeRegistryRoute, async (c) => {
    const options = writeOptions(c, c.req.valid("header")["idempotency-key"]);
    return c.json(await platform.removeRegistry(c.req.valid("param").host, options), 200);
  });
}
