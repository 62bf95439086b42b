import { createRoute, z } from "@hono/zod-openapi";
import { writeOptions, type Api, type ApiOptions } from "./api-context.js";
import { keepWaiting } from "./long-answer.js";
import { openArchiveUpload } from "./request-body.js";
import { answer, binary, failure, jsonBody, security } from "./route-parts.js";
import * as schema from "./schema.js";

/** Base images: what apps can be put on. */

export const baseSchema = z
  .object({
    name: z.string(),
    image: z.string(),
    digest: z.string(),
    source: z.string(),
    layers: z.number().int(),
    bytes: z.number().int(),
    createdAt: z.number(),
    createdBy: z.string(),
  })
  .openapi("Base");

const baseRequestSchema = z.strictObject({ image: z.string().max(500) }).openapi("BaseRequest");
const params = z.strictObject({ base: z.string().min(1).max(255) });

const listBasesRoute = createRoute({
  method: "get",
  path: "/v1/bases",
  summary: "Base images, by name",
  security,
  responses: { 200: answer("Base images", schema.listOf(baseSchema)), ...failure },
});

const addBaseRoute = createRoute({
  method: "post",
  path: "/v1/bases/{base}",
  summary: "Register an image of the platform's registry, or of another one that is allowed, as a base image",
  description: "A name that there is points to the new image from then on; what was built stays as it is.",
  security,
  request: {
    params,
    headers: schema.writeHeaders,
    body: jsonBody(baseRequestSchema),
  },
  responses: { 201: answer("The base image", baseSchema), ...failure },
});

const uploadBaseRoute = createRoute({
  method: "post",
  path: "/v1/bases/{base}/archive",
  summary: "Upload a base image as a plain tar",
  description: "An OCI image layout, what `docker save` writes, or a root file system (`docker export`).",
  security,
  request: {
    params,
    headers: schema.writeHeaders,
    body: {
      required: true,
      content: { "application/octet-stream": binary },
    },
  },
  responses: { 201: answer("The base image", baseSchema), ...failure },
});

const removeBaseRoute = createRoute({
  method: "delete",
  path: "/v1/bases/{base}",
  summary: "Take a base image from the list; what was built on it stays as it is",
  security,
  request: { params, headers: schema.writeHeaders },
  responses: { 200: answer("It is gone", schema.deletedSchema), ...failure },
});

export function addBases(api: Api, { platform, heartbeatMs }: ApiOptions): void {
  api.openapi(listBasesRoute, async (c) => c.json({ items: await platform.listBases() }, 200));

  api.openapi(addBaseRoute, async (c) => {
    const options = writeOptions(c, c.req.valid("header")["idempotency-key"]);
    const waiting = keepWaiting(c.env, heartbeatMs);
    try {
      return c.json(await platform.addBase(c.req.valid("param").base, c.req.valid("json"), options), 201);
    } finally {
      waiting.end();
    }
  });

  api.openapi(uploadBaseRoute, async (c) => {
    const upload = openArchiveUpload(c.env, heartbeatMs);
    try {
      const options = writeOptions(c, c.req.valid("header")["idempotency-key"], upload.signal);
      const { base } = c.req.valid("param");
      return c.json(await platform.addBase(base, { bytes: upload.bytes }, options), 201);
    } finally {
      upload.end();
    }
  });

  api.openapi(removeBaseRoute, async (c) => {
    const options = writeOptions(c, c.req.valid("header")["idempotency-key"]);
    return c.json(await platform.removeBase(c.req.valid("param").base, options), 200);
  });
}
