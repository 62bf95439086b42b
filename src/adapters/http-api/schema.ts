import { z } from "@hono/zod-openapi";

/** The shapes of the HTTP API, version 1: they validate what comes in and describe all of it in `/openapi.json`. */

const integer = z.number().int();
const text = (max: number) => z.string().max(max);
const env = z.record(text(256), text(131_072));
const command = z.union([text(16_384), z.array(text(16_384)).max(256).readonly()]);

export const errorSchema = z
  .object({
    error: z.object({
      code: z.string().openapi({ example: "DINP_NOT_FOUND" }),
      message: z.string(),
      hint: z.string().optional(),
      details: z.record(z.string(), z.unknown()).optional(),
    }),
  })
  .openapi("Error");

export const infoSchema = z
  .object({ version: z.string(), clusterId: z.string(), appsDomain: z.string(), routerUrl: z.string() })
  .openapi("Info");

export const sessionSchema = z.object({ subject: z.string(), role: z.enum(["admin"]) }).openapi("Session");

const appFields = {
  name: z.string(),
  urls: z.array(z.string()).readonly(),
  desired: z.enum(["running", "stopped"]),
  instances: integer,
  ready: integer,
  state: z.enum([
    "running",
    "deploying",
    "starting",
    "degraded",
    "crashing",
    "stopped",
    "stopping",
    "deleting",
    "empty",
  ]),
  release: integer.nullable(),
  digest: z.string().nullable(),
  memoryMb: integer,
  cpuMillis: integer,
  createdAt: z.number(),
};

export const appSchema = z.object(appFields).openapi("App");

export const domainSchema = z.object({ host: z.string(), path: z.string() }).openapi("Domain");

const instancePhase = z.enum(["pending", "starting", "running", "stopping", "exited"]);
const rolloutState = z.enum(["pending", "running", "complete", "failed", "superseded"]);

export const instanceSchema = z
  .object({
    id: z.string(),
    node: z.string(),
    release: integer,
    desired: z.enum(["running", "draining", "stopped"]),
    phase: instancePhase,
    ready: z.boolean(),
    endpoint: z.string().nullable(),
    startedAt: z.number().nullable(),
    reason: z.string(),
  })
  .openapi("Instance");

export const rolloutSchema = z
  .object({
    number: integer,
    state: rolloutState,
    reason: z.string(),
    logTail: z.array(z.string()).readonly(),
    wanted: integer,
    ready: integer,
    instances: z
      .array(
        z.object({
          id: z.string(),
          node: z.string(),
          phase: instancePhase,
          ready: z.boolean(),
          reason: z.string(),
        }),
      )
      .readonly(),
    startedAt: z.number().nullable(),
    endedAt: z.number().nullable(),
  })
  .openapi("Rollout");

export const appDetailSchema = z
  .object({
    ...appFields,
    template: z.string().nullable(),
    command: z.array(z.string()).readonly(),
    domains: z.array(domainSchema).readonly(),
    instanceList: z.array(instanceSchema).readonly(),
    rollout: rolloutSchema.nullable(),
    lastCrash: z
      .object({
        failures: integer,
        at: z.number(),
        reason: z.string(),
        logTail: z.array(z.string()).readonly(),
      })
      .nullable(),
    nextStartAt: z.number().nullable(),
    notices: z.array(z.string()).readonly(),
  })
  .openapi("AppDetail");

const releaseFields = {
  number: integer,
  digest: z.string(),
  template: z.string(),
  command: z.array(z.string()).readonly(),
  envNames: z.array(z.string()).readonly(),
  memoryMb: integer,
  cpuMillis: integer,
  createdAt: z.number(),
  createdBy: z.string(),
  note: z.string(),
  current: z.boolean(),
  rollout: z.object({ state: rolloutState, reason: z.string() }).nullable(),
};

export const releaseSchema = z.object(releaseFields).openapi("Release");

export const releaseResultSchema = z
  .object({ ...releaseFields, unchanged: z.boolean() })
  .openapi("ReleaseResult");

export const envSchema = z
  .object({ env: z.record(z.string(), z.string()), manifestEnv: z.record(z.string(), z.string()) })
  .openapi("Env");

export const manifestSchema = z
  .object({
    app: z.string().exactOptional(),
    template: z.string().exactOptional(),
    command: z.union([z.string(), z.array(z.string()).readonly()]).exactOptional(),
    instances: integer.exactOptional(),
    memoryMb: integer.exactOptional(),
    cpuMillis: integer.exactOptional(),
    env: z.record(z.string(), z.string()).exactOptional(),
    check: z
      .object({
        type: z.enum(["http", "tcp"]).exactOptional(),
        path: z.string().exactOptional(),
        statusMin: integer.exactOptional(),
        statusMax: integer.exactOptional(),
        intervalMs: integer.exactOptional(),
        timeoutMs: integer.exactOptional(),
        failureThreshold: integer.exactOptional(),
        successThreshold: integer.exactOptional(),
        startupMs: integer.exactOptional(),
      })
      .exactOptional(),
    stopGraceMs: integer.exactOptional(),
    drainMs: integer.exactOptional(),
    domains: z.array(z.string()).readonly().exactOptional(),
  })
  .openapi("Manifest");

export const buildSchema = z
  .object({
    id: z.string(),
    state: z.enum(["running", "succeeded", "failed"]),
    digest: z.string().nullable(),
    template: z.string(),
    command: z.array(z.string()).readonly(),
    files: integer,
    bytes: integer,
    error: z.string().nullable(),
    createdAt: z.number(),
    endedAt: z.number().nullable(),
    manifest: manifestSchema.nullable(),
  })
  .openapi("Build");

export const nodeSchema = z
  .object({
    id: z.string(),
    address: z.string(),
    memoryMb: integer,
    cpuMillis: integer,
    runtime: z.string(),
    programs: z.array(z.string()).readonly().nullable(),
    labels: z.record(z.string(), z.string()),
    cordoned: z.boolean(),
    instances: integer,
    reservedMemoryMb: integer,
    reservedCpuMillis: integer,
  })
  .openapi("Node");

export const eventSchema = z
  .object({
    id: z.string(),
    at: z.number(),
    type: z.string(),
    appId: z.string().nullable(),
    appName: z.string().nullable(),
    instanceId: z.string().nullable(),
    nodeId: z.string().nullable(),
    actor: z.string(),
    message: z.string(),
  })
  .openapi("Event");

export const logLineSchema = z.object({ instanceId: z.string(), text: z.string() }).openapi("LogLine");

export const heartbeatSchema = z
  .object({ type: z.literal("heartbeat") })
  .openapi("Heartbeat", { description: "Sent every 10 seconds in every stream; to be ignored." });

export const deletedSchema = z.object({ deleted: z.literal(true) }).openapi("Deleted");

/** `{items: […]}` of a schema. */
export function listOf<T extends z.ZodType>(items: T) {
  return z.object({ items: z.array(items).readonly() });
}

// What comes in. Bounds that need a reason in words are checked by the platform; these only keep sizes sane.

export const scaleRequestSchema = z.strictObject({ instances: z.number() }).openapi("ScaleRequest");

export const releaseRequestSchema = z
  .strictObject({
    buildId: text(255),
    instances: z.number().optional(),
    memoryMb: z.number().optional(),
    cpuMillis: z.number().optional(),
    env: env.optional(),
    command: command.optional(),
    note: text(2_000).optional(),
  })
  .openapi("ReleaseRequest");

export const rollbackRequestSchema = z.strictObject({ to: z.number().optional() }).openapi("RollbackRequest");

export const envRequestSchema = z
  .strictObject({ set: env.optional(), unset: z.array(text(256)).max(500).readonly().optional() })
  .openapi("EnvRequest");

export const domainRequestSchema = z
  .strictObject({ host: text(300), path: text(1_024).optional() })
  .openapi("DomainRequest");

/** A decimal number in a query string. */
const count = z
  .string()
  .regex(/^[0-9]{1,9}$/, "must be a whole number")
  .transform(Number);
const flag = z.enum(["true", "false"]).transform((value) => value === "true");
const name = text(255).min(1);

export const appParams = z.strictObject({ app: name });
export const buildParams = z.strictObject({ app: name, id: name });
export const rolloutParams = z.strictObject({ app: name, number: count });
export const deleteQuery = z.strictObject({ confirm: flag.optional() });
export const buildQuery = z.strictObject({ template: text(64).optional(), command: text(16_384).optional() });
export const rolloutQuery = z.strictObject({ follow: flag.optional() });
export const domainQuery = z.strictObject({ host: text(300), path: text(1_024).optional() });
export const logsQuery = z.strictObject({
  tail: count.optional(),
  follow: flag.optional(),
  instance: name.optional(),
});
export const eventsQuery = z.strictObject({
  app: name.optional(),
  limit: count.optional(),
  follow: flag.optional(),
});
export const writeHeaders = z.object({
  "idempotency-key": z
    .string()
    .regex(/^[\x20-\x7e]{1,200}$/, "must be 1 to 200 printable ASCII characters")
    .optional(),
});
