import { DinpError, isDinpError } from "../model/errors.js";
import { newTimeId } from "../model/ids.js";
import type { EventRecord, IdempotencyRecord } from "../model/records.js";
import type { Stored, Write } from "../ports/state-store.js";
import { canonicalJson, sha256Hex, toJson } from "./canonical.js";
import type { PlatformContext, WriteOptions } from "./context.js";
import { printable } from "./text.js";
import { assertIdempotencyKey } from "./validate.js";

/** How long an answer is remembered under its idempotency key. */
export const IDEMPOTENCY_TTL_MS = 24 * 3_600_000;

const ATTEMPTS_MAX = 40;
const RETRY_DELAY_MS_MAX = 50;

/** What happened, to be written down with the change that made it happen. */
export interface NewEvent {
  readonly type: string;
  readonly message: string;
  /** `id` null: the app need not exist (yet). */
  readonly app?: { readonly id: string | null; readonly name: string };
}

/** Everything that one write would change, and its answer. */
export interface Change<T> {
  readonly writes: readonly Write[];
  readonly events: readonly NewEvent[];
  readonly result: T;
}

/** An attempt whose commit may or may not have been applied: its event's presence tells. */
interface UnknownAttempt<T> {
  readonly eventId: string;
  readonly result: T;
}

/**
 * The one way in which the platform writes: reads and checks (`prepare`), then commits the writes, what is told about
 * them and the remembered answer at once. `prepare` guards each record that it relies on by its revision; when one
 * changed meanwhile it is asked again, a bounded number of times. After `DINP_COMMIT_UNKNOWN` the store is asked what
 * became of the commit, so nothing is done twice.
 */
export async function change<T extends object>(
  context: PlatformContext,
  operation: string,
  input: unknown,
  options: WriteOptions,
  prepare: (now: number) => Promise<Change<T>>,
): Promise<T> {
  assertMayChange(operation, options);
  const memory = openMemory<T>(context, operation, input, options);
  const unknown: UnknownAttempt<T>[] = [];
  for (let attempt = 1; ; attempt += 1) {
    const answered = (await memory?.recall()) ?? (await findApplied(context, unknown));
    if (answered !== null) return answered;
    const now = context.clock.now();
    const prepared = await prepare(now);
    if (prepared.writes.length === 0 && memory === null) return prepared.result;
    const events = prepared.events.map((event) => toRecord(context, event, options.caller.subject, now));
    try {
      await context.store.commit(
        [
          ...prepared.writes,
          ...events.map((value): Write => ({ op: "put", kind: "event", value, ifRevision: "absent" })),
          ...(memory === null ? [] : [memory.write(prepared.result, now)]),
        ],
        options.signal === undefined ? {} : { signal: options.signal },
      );
      return prepared.result;
    } catch (error) {
      if (!mayTryAgain(error) || attempt >= ATTEMPTS_MAX) throw error;
      const marker = events[0];
      if (isDinpError(error, "DINP_COMMIT_UNKNOWN") && marker !== undefined) {
        unknown.push({ eventId: marker.id, result: prepared.result });
      }
      await pause(context, attempt, options.signal);
    }
  }
}

/** Whatever a front lets through: a router's token changes nothing else. */
function assertMayChange(operation: string, { caller }: WriteOptions): void {
  if (caller.role !== "router" || operation === "router.register") return;
  throw new DinpError("DINP_FORBIDDEN", "A router's token may register routers, and nothing else.", {
    hint: "Log in with a token of your own.",
  });
}

/** A lost race is run again: the next reading sees who won. */
function mayTryAgain(error: unknown): boolean {
  return (
    isDinpError(error, "DINP_CONFLICT") ||
    isDinpError(error, "DINP_NOT_UNIQUE") ||
    isDinpError(error, "DINP_COMMIT_UNKNOWN")
  );
}

async function pause(
  context: PlatformContext,
  attempt: number,
  signal: AbortSignal | undefined,
): Promise<void> {
  const bound = Math.min(RETRY_DELAY_MS_MAX, 2 ** attempt);
  await context.clock.sleep(context.random.next() * bound, signal === undefined ? {} : { signal });
}

async function findApplied<T>(
  context: PlatformContext,
  unknown: readonly UnknownAttempt<T>[],
): Promise<T | null> {
  for (const attempt of unknown) {
    if ((await context.store.get("event", attempt.eventId)) !== null) return attempt.result;
  }
  return null;
}

/** The record of an event: its text made harmless, its id in the order of time. */
export function toRecord(context: PlatformContext, event: NewEvent, actor: string, now: number): EventRecord {
  return {
    id: newTimeId(context.random, context.eventTimes.next(now), "evt"),
    at: now,
    type: event.type,
    appId: event.app?.id ?? null,
    appName: event.app?.name ?? null,
    instanceId: null,
    nodeId: null,
    actor: printable(actor, 200),
    message: printable(event.message),
  };
}

/** What is remembered under one idempotency key. */
interface AnswerMemory<T> {
  /** The remembered answer; null when there is none. `DINP_IDEMPOTENCY_KEY_REUSED` when it answered another request. */
  recall(): Promise<T | null>;
  /** Remembers an answer, if nobody else did since the last `recall`. */
  write(result: T, now: number): Write;
}

/** The memory of this write's key, or null when it has none. `DINP_INVALID` for an illegal key. */
export function openMemory<T extends object>(
  context: PlatformContext,
  operation: string,
  input: unknown,
  options: WriteOptions,
): AnswerMemory<T> | null {
  const userKey = options.idempotencyKey;
  if (userKey === undefined) return null;
  const key = memoryKey(context, userKey, options);
  const requestHash = sha256Hex(context.hasher, canonicalJson([operation, toJson(input)]));
  let known: Stored<"idempotency"> | null = null;
  return {
    async recall() {
      known = await context.store.get("idempotency", key);
      if (known === null || isExpired(known.value, context.clock.now())) return null;
      if (known.value.requestHash !== requestHash) throw reused(userKey);
      // The hash covers the operation, so what is remembered has that operation's type.
      const response: unknown = known.value.response;
      return response as T;
    },
    write(result, now) {
      const value: IdempotencyRecord = { key, requestHash, response: toJson(result), createdAt: now };
      return { op: "put", kind: "idempotency", value, ifRevision: known?.revision ?? "absent" };
    },
  };
}

/** True when some request of this caller was answered under this write's key. */
export async function isRemembered(context: PlatformContext, options: WriteOptions): Promise<boolean> {
  if (options.idempotencyKey === undefined) return false;
  const known = await context.store.get("idempotency", memoryKey(context, options.idempotencyKey, options));
  return known !== null && !isExpired(known.value, context.clock.now());
}

/** Keys are a caller's own: two callers with the same one do not meet. */
function memoryKey(context: PlatformContext, userKey: string, options: WriteOptions): string {
  assertIdempotencyKey(userKey);
  return sha256Hex(context.hasher, canonicalJson([options.caller.tokenId, userKey]));
}

export function isExpired(record: IdempotencyRecord, now: number): boolean {
  return now - record.createdAt >= IDEMPOTENCY_TTL_MS;
}

function reused(key: string): DinpError {
  return new DinpError(
    "DINP_IDEMPOTENCY_KEY_REUSED",
    `The idempotency key "${printable(key, 60)}" was used for another request.`,
    { hint: "Use a new key for each request, and the same one only to repeat it." },
  );
}
