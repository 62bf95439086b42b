import type { JsonValue } from "@dinp/core";
import { z } from "zod";
import { failureSchema } from "./failures.js";
import { callSchema, helloSchema, itemSchema, messageSchema, reportSchema } from "./message-schemas.js";

/**
 * The frames: JSON texts, each with its number `n`. Each end chooses the number that the first frame of the other must
 * have (`start` of `hello` and `welcome`); each next one is one higher. So a frame that is lost, doubled, out of its order or
 * of another connection is known as such.
 */

const number = z.int().min(0);
const start = number.max(2 ** 48);
const stream = number;
/** What was sent as frame `of` was taken over by its reader. */
const taken = z.object({ t: z.literal("taken"), of: number });
const keyHash = z.string().regex(/^[0-9a-f]{64}$/);

/** Agent → server. */
export const agentFrameSchema = z.discriminatedUnion("t", [
  /** The first one. `run` names the agent's process: two of one node at the same time are told apart by it. */
  z.object({ t: z.literal("hello"), start, run: z.string().max(64), hello: helloSchema }),
  z.object({ t: z.literal("report"), report: reportSchema }),
  taken,
  z.object({ t: z.literal("item"), stream, item: itemSchema }),
  z.object({ t: z.literal("end"), stream }),
  z.object({ t: z.literal("fail"), stream, error: failureSchema }),
  /** The agent has a new key, of this hash; the server answers `rotated` when it will be taken. */
  z.object({ t: z.literal("rotate"), keyHash }),
]);

/** Server → agent. */
export const serverFrameSchema = z.discriminatedUnion("t", [
  /** The answer to `hello`, once the server has accepted. */
  z.object({ t: z.literal("welcome"), start }),
  z.object({ t: z.literal("message"), message: messageSchema }),
  taken,
  z.object({ t: z.literal("open"), stream, call: callSchema }),
  /** The stream's reader has taken so many bytes of frames. */
  z.object({ t: z.literal("credit"), stream, bytes: number }),
  /** The stream's reader has left. */
  z.object({ t: z.literal("cancel"), stream }),
  z.object({ t: z.literal("rotated"), keyHash }),
]);

export type AgentFrame = z.output<typeof agentFrameSchema>;
export type ServerFrame = z.output<typeof serverFrameSchema>;

/** A frame that came in: with its number and its size. */
export interface Incoming<Frame> {
  readonly frame: Frame;
  readonly n: number;
  readonly bytes: number;
}

/** As readers see it who must not change it: what is sent belongs to somebody else. */
export type DeepReadonly<T> = [JsonValue] extends [T] ? T : ReadonlyParts<T>;

type ReadonlyParts<T> = T extends Uint8Array
  ? T
  : T extends object
    ? { readonly [Key in keyof T]: DeepReadonly<T[Key]> }
    : T;

/** A frame without its number, as JSON. */
export function encodeFrame(frame: DeepReadonly<AgentFrame> | DeepReadonly<ServerFrame>): string {
  // The holder's own value: of a Buffer, what is handed over is already its `toJSON()`.
  return JSON.stringify(frame, function (this: Readonly<Record<string, unknown>>, key, handed: unknown) {
    const value = this[key];
    return value instanceof Uint8Array ? base64(value) : handed;
  });
}

function base64({ buffer, byteOffset, byteLength }: Uint8Array): string {
  return Buffer.from(buffer, byteOffset, byteLength).toString("base64");
}

/** Puts the number into an encoded frame. */
export function numbered(encoded: string, n: number): string {
  return `{"n":${String(n)},${encoded.slice(1)}`;
}

/** The frame of a text; throws an `Error` that says what is wrong with it, without its values. */
export function decodeFrame<Frame>(schema: z.ZodType<Frame>, data: Buffer): Incoming<Frame> {
  const value: unknown = JSON.parse(data.toString("utf8"));
  const n = z.object({ n: number }).parse(value).n;
  const result = schema.safeParse(value);
  if (result.success) return { frame: result.data, n, bytes: data.length };
  const [issue] = result.error.issues;
  throw new Error(`${issue?.path.map(String).join(".") ?? ""}: ${issue?.message ?? "not valid"}`);
}
