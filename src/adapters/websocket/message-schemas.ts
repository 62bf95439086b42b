import type {
  AgentExecRequest,
  AgentHello,
  AgentReport,
  AgentRunRequest,
  ExecEvent,
  LogLine,
  LogRequest,
  ServerMessage,
} from "@dinp/core";
import { z } from "zod";
import {
  capacitySchema,
  grantsSchema,
  imageSchema,
  nodeIdSchema,
  placementSchema,
  releaseSchema,
  statusSchema,
  variables,
} from "./record-schemas.js";

/** What the two ends say to each other. Bytes go as base64. */

const bytes = z.string().transform((text, { issues }): Uint8Array => {
  const value = Buffer.from(text, "base64");
  if (value.toString("base64") !== text)
    issues.push({ code: "custom", input: "…", message: "must be bytes in base64" });
  return Uint8Array.from(value);
});

/** That a schema gives exactly what the port has, optional fields included: neither side lacks one. */
type Exactly<Schema extends z.ZodType, Type> = [z.infer<Schema>] extends [Type] ? Schema : never;
function schemaOf<Type>() {
  return <Schema extends z.ZodType<Type>>(schema: Exactly<Schema, Type>): Schema => schema;
}

export const helloSchema = schemaOf<AgentHello>()(
  z.object({
    nodeId: nodeIdSchema,
    address: z.string().max(255),
    capacity: capacitySchema,
    instancesMax: z.number().exactOptional(),
    labels: z.record(z.string(), z.string()),
  }),
);

export const messageSchema = schemaOf<ServerMessage>()(
  z.object({
    epoch: z.int().min(0),
    assign: z.array(
      z.object({
        placement: placementSchema,
        appName: z.string(),
        release: releaseSchema,
        grants: grantsSchema.exactOptional(),
        secrets: variables.exactOptional(),
        unstartable: z.string().exactOptional(),
        lastStatus: statusSchema.nullable(),
      }),
    ),
    release: z.array(z.string()),
    keepImages: z.array(imageSchema).exactOptional(),
  }),
);

export const reportSchema = schemaOf<AgentReport>()(
  z.object({ nodeId: nodeIdSchema, full: z.boolean(), statuses: z.array(statusSchema) }),
);

const command = {
  command: z.array(z.string()),
  stdin: bytes.exactOptional(),
  secrets: variables.exactOptional(),
};

/** A service that is asked of the agent, with the request without its signal. */
export const callSchema = z.discriminatedUnion("kind", [
  z.object({
    kind: z.literal("logs"),
    request: schemaOf<Omit<LogRequest, "signal">>()(
      z.object({ instanceId: z.string(), tail: z.number(), follow: z.boolean() }),
    ),
  }),
  z.object({
    kind: z.literal("exec"),
    request: schemaOf<Omit<AgentExecRequest, "signal">>()(z.object({ instanceId: z.string(), ...command })),
  }),
  z.object({
    kind: z.literal("run"),
    request: schemaOf<Omit<AgentRunRequest, "signal">>()(
      z.object({
        runId: z.string(),
        appName: z.string(),
        release: releaseSchema,
        grants: grantsSchema.exactOptional(),
        ...command,
      }),
    ),
  }),
]);

export type Call = z.output<typeof callSchema>;

const lineSchema = schemaOf<LogLine>()(z.object({ instanceId: z.string(), text: z.string() }));

const eventSchema = schemaOf<ExecEvent>()(
  z.discriminatedUnion("type", [
    z.object({ type: z.literal("output"), stream: z.enum(["stdout", "stderr"]), bytes }),
    z.object({
      type: z.literal("exit"),
      code: z.number().nullable(),
      signal: z.string().nullable(),
      message: z.string().nullable(),
    }),
  ]),
);

/** An item of a stream: a line of a log, or an event of a command. */
export const itemSchema = z.union([z.object({ line: lineSchema }), z.object({ event: eventSchema })]);

export type Item = z.output<typeof itemSchema>;
