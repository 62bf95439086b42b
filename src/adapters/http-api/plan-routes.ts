import { createRoute, z } from "@hono/zod-openapi";
import type { JsonValue } from "@dinp/core";
import type { Api, ApiOptions } from "./api-context.js";
import { answer, failure, jsonBody, security } from "./route-parts.js";
import * as schema from "./schema.js";

/** `plan` and `explain`: what the platform would do, and why things are as they are. They write nothing. */

const text = z.string();
const time = z.number().nullable();
const refusal = z.object({ code: text, reason: text, retryAt: time });

const appPlanSchema = z
  .object({
    app: text,
    actions: z
      .array(
        z.object({
          type: z.enum(["place", "drain", "stop", "adopt", "forget", "rollout", "remove"]),
          instance: text.nullable(),
          node: text.nullable(),
          release: z.number().int().nullable(),
          reason: text,
        }),
      )
      .readonly(),
    refused: z.array(refusal).readonly(),
  })
  .openapi("AppPlan");

const planSchema = z
  .object({
    revision: z.number().int(),
    at: z.number(),
    fresh: z.boolean(),
    wakeAt: time,
    apps: z.array(appPlanSchema).readonly(),
    refused: z.array(refusal).readonly(),
  })
  .openapi("Plan");

const names = z.array(text).readonly();

const pushPlanSchema = z
  .object({
    app: text,
    exists: z.boolean(),
    release: z.number().int().nullable(),
    nextRelease: z.number().int().nullable(),
    changes: z.array(z.object({ field: text, from: text.nullable(), to: text.nullable() })).readonly(),
    env: z.object({ added: names, removed: names, changed: names }),
    domains: names,
    problems: names,
    plan: appPlanSchema,
    wakeAt: time,
  })
  .openapi("PushPlan");

const explainSchema = z
  .object({
    app: text,
    instance: text.nullable(),
    state: text,
    summary: text,
    facts: z.array(z.object({ about: text, text, at: time })).readonly(),
    next: names,
  })
  .openapi("Explanation");

const planRequestSchema = z
  .strictObject({
    // What it may hold is checked by the platform, as the file itself is.
    manifest: z
      .custom<JsonValue>((value) => value !== undefined)
      .optional()
      .openapi({ type: "object", description: "The app's dinp.yaml as a JSON value" }),
    template: z.string().max(64).optional(),
    image: z
      .string()
      .max(500)
      .optional()
      .openapi({ description: "An image that exists, instead of what is to be built" }),
    instances: z.number().optional(),
    memoryMb: z.number().optional(),
    cpuMillis: z.number().optional(),
    env: z.record(z.string().max(256), z.string().max(131_072)).optional(),
    command: z
      .union([z.string().max(16_384), z.array(z.string().max(16_384)).max(256).readonly()])
      .optional(),
  })
  .openapi("PlanRequest");

const presentPlanRoute = createRoute({
  method: "get",
  path: "/v1/plan",
  summary: "What the platform is about to do, and why",
  security,
  responses: { 200: answer("The plan; empty when all is as it should be", planSchema), ...failure },
});

const planPushRoute = createRoute({
  method: "post",
  path: "/v1/apps/{app}/plan",
  summary: "What a push would change",
  description: "Writes nothing. What is not known before the code is built (its image) is null.",
  security,
  request: {
    params: schema.appParams,
    body: jsonBody(planRequestSchema),
  },
  responses: { 200: answer("What would change", pushPlanSchema), ...failure },
});

const planChangeRoute = createRoute({
  method: "get",
  path: "/v1/apps/{app}/plan",
  summary: "What the platform would do first if the app were scaled, started, stopped or deleted",
  description: "Writes nothing. `instances` goes with `change=scale`.",
  security,
  request: {
    params: schema.appParams,
    query: z.strictObject({
      change: z.enum(["scale", "start", "stop", "delete"]),
      instances: schema.count.optional(),
    }),
  },
  responses: { 200: answer("The first step", appPlanSchema), ...failure },
});

const explainRoute = createRoute({
  method: "get",
  path: "/v1/apps/{app}/explain",
  summary: "Why an app, or an instance of it, is as it is",
  security,
  request: {
    params: schema.appParams,
    query: z.strictObject({ instance: z.string().min(1).max(255).optional() }),
  },
  responses: { 200: answer("Facts, from what is wanted to what was seen last", explainSchema), ...failure },
});

export function addPlans(api: Api, { platform }: ApiOptions): void {
  api.openapi(presentPlanRoute, (c) => c.json(platform.presentPlan(), 200));

  api.openapi(planPushRoute, async (c) =>
    c.json(await platform.planPush(c.req.valid("param").app, c.req.valid("json")), 200),
  );

  api.openapi(planChangeRoute, async (c) =>
    c.json(await platform.planChange(c.req.valid("param").app, c.req.valid("query")), 200),
  );

  api.openapi(explainRoute, async (c) =>
    c.json(await platform.explain(c.req.valid("param").app, c.req.valid("query")), 200),
  );
}
