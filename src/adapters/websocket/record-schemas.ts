import { z } from "zod";

/** The records that messages carry, as they are checked where they come in. Fields that a reader does not know are left out. */

const text = z.string();
const time = z.number();
const texts = z.array(text);
export const variables = z.record(text, text);

export const nodeIdSchema = text.min(1).max(255);

const endpointSchema = z.object({ instanceId: text, host: text, port: z.int().min(0).max(65_535) });

const checkSchema = z.object({
  type: z.enum(["http", "tcp"]),
  path: text,
  statusMin: z.number(),
  statusMax: z.number(),
  intervalMs: z.number(),
  timeoutMs: z.number(),
  failureThreshold: z.number(),
  successThreshold: z.number(),
  startupMs: z.number(),
});

export const imageSchema = z.object({ repository: text, digest: text });

export const grantsSchema = z.object({
  user: text.exactOptional(),
  writableRoot: z.boolean().exactOptional(),
  capabilities: texts.exactOptional(),
  newPrivileges: z.boolean().exactOptional(),
  pidsMax: z.number().exactOptional(),
});

export const releaseSchema = z.object({
  id: text,
  appId: text,
  number: z.number(),
  image: imageSchema,
  template: text,
  command: texts,
  requires: texts,
  env: variables,
  manifestEnv: variables,
  secrets: z.record(text, z.object({ secret: text, version: z.number() })).exactOptional(),
  memoryMb: z.number(),
  cpuMillis: z.number(),
  check: checkSchema,
  stopGraceMs: z.number(),
  drainMs: z.number(),
  buildId: text.nullable(),
  createdAt: time,
  createdBy: text,
  note: text,
});

export const placementSchema = z.object({
  instanceId: text,
  appId: text,
  releaseId: text,
  nodeId: nodeIdSchema,
  desired: z.enum(["running", "draining", "stopped"]),
  reason: text,
  createdAt: time,
  changedAt: time,
});

const exitSchema = z.object({
  at: time,
  cause: z.enum(["exited", "memory", "image", "start", "startup", "stopped", "unknown"]),
  code: z.number().nullable(),
  signal: text.nullable(),
  message: text,
  logTail: texts,
});

export const statusSchema = z.object({
  instanceId: text,
  appId: text,
  releaseId: text,
  nodeId: nodeIdSchema,
  phase: z.enum(["starting", "running", "stopping", "exited"]),
  ready: z.boolean(),
  readyAt: time.nullable(),
  endpoint: endpointSchema.nullable(),
  startedAt: time,
  reason: text,
  exit: exitSchema.nullable(),
  seq: z.number(),
});

export const capacitySchema = z.object({
  runtime: text,
  memoryMb: z.number(),
  cpuMillis: z.number(),
  programs: texts.nullable(),
  memoryLimit: text,
});
