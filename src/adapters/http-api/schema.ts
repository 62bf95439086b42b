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
      hint: z.string().openapi({ description: "What to do about it" }),
      details: z.record(z.string(), z.unknown()).optional(),
    }),
  })
  .openapi("Error");

export const infoSchema = z
  .object({ version: z.string(), clusterId: z.string(), appsDomain: z.string(), routerUrl: z.string() })
  .openapi("Info");

export const sessionSchema = z
  .object({ subject: z.string(), role: z.enum(["admin", "member", "router"]) })
  .openapi("Session");

const appStates = [
  "running",
  "deploying",
  "starting",
  "degraded",
  "crashing",
  "stopped",
  "stopping",
  "deleting",
  "empty",
] as const;

const appFields = {
  name: z.string(),
  urls: z.array(z.string()).readonly(),
  desired: z.enum(["running", "stopped"]),
  instances: integer,
  ready: integer,
  state: z.enum(appStates),
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
    withdrawn: z.object({ by: z.string(), since: z.number(), reason: z.string() }).nullable(),
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
    revision: integer,
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
  .object({
    env: z.record(z.string(), z.string()),
    manifestEnv: z.record(z.string(), z.string()),
    secrets: z.record(
      z.string(),
      z.object({ version: integer, setAt: z.number().nullable(), setBy: z.string().nullable() }),
    ),
  })
  .openapi("Env");

export const grantsSchema = z
  .object({
    user: z.string().exactOptional(),
    writableRoot: z.boolean().exactOptional(),
    capabilities: z.array(z.string()).readonly().exactOptional(),
    newPrivileges: z.boolean().exactOptional(),
    pidsMax: z.number().exactOptional(),
  })
  .openapi("Grants");

export const manifestSchema = z
  .object({
    app: z.string().exactOptional(),
    template: z.string().exactOptional(),
    base: z.string().exactOptional(),
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

const buildState = z.enum(["running", "succeeded", "failed"]);

export const buildSchema = z
  .object({
    id: z.string(),
    app: z.string(),
    state: buildState,
    digest: z.string().nullable(),
    image: z.string().nullable(),
    source: z.string().nullable(),
    tag: z.string().nullable(),
    base: z.string().nullable(),
    template: z.string(),
    command: z.array(z.string()).readonly(),
    files: integer,
    bytes: integer,
    error: z.string().nullable(),
    createdAt: z.number(),
    endedAt: z.number().nullable(),
    createdBy: z.string(),
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
    connected: z.boolean().nullable(),
    lastSeenAt: z.number().nullable(),
    joinedAt: z.number().nullable(),
    revokedAt: z.number().nullable(),
  })
  .openapi("Node");

export const templateSchema = z
  .object({
    name: z.string(),
    description: z.string(),
    recognizedBy: z.string().nullable(),
    commandFrom: z.string().nullable(),
    base: z.string().nullable(),
    keepAs: z.string().nullable(),
    port: integer.nullable(),
    requires: z.array(z.string()).readonly(),
  })
  .openapi("Template");

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

export const nodeInstanceSchema = instanceSchema.extend({ app: z.string() }).openapi("NodeInstance");

/** A page of a list. */
export function pageOf<T extends z.ZodType>(items: T) {
  return z.object({ items: z.array(items).readonly(), next: z.string().nullable() });
}

// What comes in. Bounds that need a reason in words are checked by the platform; these only keep sizes sane.

export const scaleRequestSchema = z.strictObject({ instances: z.number() }).openapi("ScaleRequest");

export const releaseRequestSchema = z
  .strictObject({
    buildId: text(255).optional(),
    image: text(500).optional(),
    instances: z.number().optional(),
    memoryMb: z.number().optional(),
    cpuMillis: z.number().optional(),
    env: env.optional(),
    command: command.optional(),
    note: text(2_000).optional(),
  })
  .openapi("ReleaseRequest");

export const rollbackRequestSchema = z
  .strictObject({ to: z.number().optional(), secrets: z.enum(["latest", "as-released"]).optional() })
  .openapi("RollbackRequest");

export const envRequestSchema = z
  .strictObject({
    set: env.optional(),
    secrets: env.optional().openapi({
      writeOnly: true,
      description: "Values that are stored sealed and never told again.",
    }),
    unset: z.array(text(256)).max(500).readonly().optional(),
  })
  .openapi("EnvRequest");

export const grantsRequestSchema = z
  .strictObject({
    user: text(64).exactOptional(),
    writableRoot: z.boolean().exactOptional(),
    capabilities: z.array(text(64)).max(64).readonly().exactOptional(),
    newPrivileges: z.boolean().exactOptional(),
    pidsMax: z.number().exactOptional(),
  })
  .openapi("GrantsRequest");

export const domainRequestSchema = z
  .strictObject({ host: text(300), path: text(1_024).optional() })
  .openapi("DomainRequest");

/** A decimal number in a query string. */
export const count = z
  .string()
  .regex(/^[0-9]{1,9}$/, "must be a whole number")
  .transform(Number);
const flag = z.enum(["true", "false"]).transform((value) => value === "true");
const name = text(255).min(1);

export const appParams = z.strictObject({ app: name });
export const buildParams = z.strictObject({ app: name, id: name });
export const rolloutParams = z.strictObject({ app: name, number: count });
export const deleteQuery = z.strictObject({ confirm: flag.optional() });
const buildFields = {
  template: text(64).optional(),
  command: text(16_384).optional(),
  base: text(200).optional(),
  tag: text(200).optional(),
  /** What the upload is called. */
  file: text(255)
    .regex(/^[^/\0]+$/, "must be a file name without a folder")
    .optional(),
};
export const buildQuery = z.strictObject(buildFields);
export const fetchBuildSchema = z.strictObject({ url: text(4_096), ...buildFields }).openapi("BuildFromUrl");
export const rolloutQuery = z.strictObject({ follow: flag.optional() });
export const domainQuery = z.strictObject({ host: text(300), path: text(1_024).optional() });
export const logsQuery = z.strictObject({
  tail: count.optional(),
  follow: flag.optional(),
  instance: name.optional(),
});
const page = { limit: count.optional(), cursor: text(1_024).min(1).optional() };
/** Milliseconds since the Unix epoch. */
const time = z
  .string()
  .regex(/^[0-9]{1,15}$/, "must be a time in milliseconds")
  .transform(Number);
export const pageQuery = z.strictObject(page);
export const appsQuery = z.strictObject({
  ...page,
  state: z.enum(appStates).optional(),
  prefix: text(63).optional(),
});
export const buildsQuery = z.strictObject({ ...page, app: name.optional(), state: buildState.optional() });
export const instancesQuery = z.strictObject({
  ...page,
  app: name.optional(),
  phase: instancePhase.optional(),
  node: name.optional(),
});
export const eventsQuery = z.strictObject({
  ...page,
  app: name.optional(),
  type: text(64).optional(),
  since: time.optional(),
  until: time.optional(),
  follow: flag.optional(),
});
export const writeHeaders = z.object({
  "idempotency-key": z
    .string()
    .regex(/^[\x20-\x7e]{1,200}$/, "must be 1 to 200 printable ASCII characters")
    .optional(),
});
