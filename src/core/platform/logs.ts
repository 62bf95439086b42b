import { DinpError, isDinpError, messageOf } from "../model/errors.js";
import type { App, CrashRecord, InstanceStatus, Placement } from "../model/records.js";
import type { LogLine } from "../ports/runtime.js";
import { findAppEvenDeleted, listOf, readAppRecords, type AppRecords } from "./app-records.js";
import { ChangeBell, currentRevision } from "./changes.js";
import type { PlatformContext } from "./context.js";
import { LogMerge } from "./log-merge.js";
import type { LogsRequest } from "./requests.js";
import { printable, quoted } from "./text.js";
import { assertInteger } from "./validate.js";

const TAIL_DEFAULT = 100;
const TAIL_MAX = 10_000;
/** How long a log that could not be read is left alone. */
const RETRY_MS = 1_000;

/**
 * What the app wrote: the last lines of each of its instances, then with `follow` every new line, of new instances too,
 * until the signal aborts (then it ends without an error). Without an instance, the last lines before the last crash.
 * Each instance's lines are in order. `DINP_NOT_FOUND`.
 */
export async function* readLogs(
  context: PlatformContext,
  name: string,
  request: LogsRequest,
  signal: AbortSignal,
): AsyncGenerator<LogLine> {
  const tail = request.tail ?? TAIL_DEFAULT;
  assertInteger("tail", tail, 0, TAIL_MAX);
  const end = new AbortController();
  const both = AbortSignal.any([signal, end.signal]);
  const source = (instanceId: string, lines: number): AsyncIterable<LogLine> =>
    context.logs.logs({ instanceId, tail: lines, follow: request.follow === true, signal: both });
  try {
    const revision = await currentRevision(context.store, signal);
    const app = await findAppEvenDeleted(context.store, name, { signal });
    const records = await readAppRecords(context.store, app, { signal });
    if (request.instance !== undefined) {
      yield* ofInstance(records, request.instance, tail, (id) => source(id, tail));
      return;
    }
    const ids = withLog(records.placements, records.statuses);
    if (ids.length === 0) yield* crashTail(records.crash, tail);
    if (request.follow === true) yield* followAll(context, app, ids, revision, tail, source, both);
    else yield* inTurn(ids, (id) => source(id, tail));
  } catch (error) {
    if (!signal.aborted) throw error;
  } finally {
    end.abort();
  }
}

/** Those that have been started: before that there is no log to ask for. */
function withLog(
  placements: readonly Placement[],
  statuses: ReadonlyMap<string, Pick<InstanceStatus, "phase">>,
): string[] {
  return placements
    .map(({ instanceId }) => instanceId)
    .filter((id) => {
      const phase = statuses.get(id)?.phase;
      return phase !== undefined && phase !== "starting";
    });
}

async function* ofInstance(
  records: AppRecords,
  instanceId: string,
  tail: number,
  source: (instanceId: string) => AsyncIterable<LogLine>,
): AsyncGenerator<LogLine> {
  if (records.placements.some((placement) => placement.instanceId === instanceId)) {
    yield* source(instanceId);
    return;
  }
  const lines = records.statuses.get(instanceId)?.exit?.logTail;
  if (lines !== undefined) {
    for (const text of lastOf(lines, tail)) yield { instanceId, text };
    return;
  }
  if (records.crash?.lastInstanceId === instanceId) {
    yield* crashTail(records.crash, tail);
    return;
  }
  const known = records.placements.map((placement) => placement.instanceId).slice(0, 10);
  throw new DinpError(
    "DINP_NOT_FOUND",
    `The app ${quoted(records.app.name)} has no instance ${quoted(instanceId)}.`,
    {
      hint: known.length === 0 ? "It has no instances now." : `It has ${known.join(", ")}.`,
    },
  );
}

function* crashTail(crash: CrashRecord | null, tail: number): Generator<LogLine> {
  if (crash === null) return;
  for (const text of lastOf(crash.logTail, tail)) yield { instanceId: crash.lastInstanceId, text };
}

function lastOf(lines: readonly string[], count: number): readonly string[] {
  return count === 0 ? [] : lines.slice(-count);
}

/** One instance after the other; one whose node does not answer says so in a line of its own. */
async function* inTurn(
  ids: readonly string[],
  source: (instanceId: string) => AsyncIterable<LogLine>,
): AsyncGenerator<LogLine> {
  for (const id of ids) {
    try {
      yield* source(id);
    } catch (error) {
      yield notReadable(error, id);
    }
  }
}

function notReadable(error: unknown, instanceId: string, more = ""): LogLine {
  return { instanceId, text: `(the log cannot be read now: ${printable(messageOf(error), 300)}${more})` };
}

/** An instance's log to its end, however often its node goes away meanwhile: each time a line says so. */
async function* readThrough(
  { clock, logger }: PlatformContext,
  instanceId: string,
  tail: number,
  source: (instanceId: string, tail: number) => AsyncIterable<LogLine>,
  signal: AbortSignal,
): AsyncGenerator<LogLine> {
  let rest = tail;
  let isTold = false;
  for (;;) {
    try {
      for await (const line of source(instanceId, rest)) {
        rest = 0;
        isTold = false;
        yield line;
      }
      return;
    } catch (error) {
      if (signal.aborted || !isAway(error) || isOfNoLeader(error)) throw error;
      logger.debug("a followed log is read again", { instance: instanceId, error: messageOf(error) });
      if (!isTold) yield notReadable(error, instanceId, " Trying again; lines may be missing.");
      isTold = true;
    }
    await clock.sleep(RETRY_MS, { signal });
  }
}

function isAway(error: unknown): error is DinpError {
  return isDinpError(error) && error.retryable;
}

/** Nothing can be read by this server any more: whoever reads has to ask the one that leads. */
function isOfNoLeader(error: unknown): boolean {
  return isAway(error) && error.details["leads"] === false;
}

async function* followAll(
  context: PlatformContext,
  app: App,
  ids: readonly string[],
  revision: number,
  tail: number,
  source: (instanceId: string, tail: number) => AsyncIterable<LogLine>,
  signal: AbortSignal,
): AsyncGenerator<LogLine> {
  const read = (id: string, lines: number): AsyncIterable<LogLine> =>
    readThrough(context, id, lines, source, signal);
  const merge = new LogMerge<LogLine>((error, id) => {
    if (isOfNoLeader(error)) merge.fail(error);
    return signal.aborted || isOfNoLeader(error) ? null : notReadable(error, id);
  });
  const bell = new ChangeBell(
    context.store,
    ["placement", "instanceStatus"],
    revision,
    (change) => change.value === null || ("appId" in change.value && change.value.appId === app.id),
    signal,
  );
  const joined = joinNewInstances(
    context,
    app,
    bell,
    new Set(ids),
    merge,
    (id) => read(id, TAIL_MAX),
    signal,
  );
  try {
    for (const id of ids) merge.add(id, read(id, tail));
    yield* merge.values();
  } finally {
    merge.close();
    await bell.close();
    await joined;
  }
}

/** Adds the log of every instance that comes, from its beginning, until the watch ends; a failure ends the merge. */
async function joinNewInstances(
  context: PlatformContext,
  app: App,
  bell: ChangeBell,
  known: Set<string>,
  merge: LogMerge<LogLine>,
  source: (instanceId: string) => AsyncIterable<LogLine>,
  signal: AbortSignal,
): Promise<void> {
  try {
    while (await bell.next()) {
      const placements = await listOf(context.store, "placement", app.id, { signal });
      const statuses = await listOf(context.store, "instanceStatus", app.id, { signal });
      const phases = new Map(statuses.map((status) => [status.instanceId, status]));
      const present = new Set(withLog(placements, phases));
      for (const id of known) if (!present.has(id)) known.delete(id);
      for (const id of present) {
        if (known.has(id)) continue;
        known.add(id);
        merge.add(id, source(id));
      }
    }
  } catch (error) {
    if (!signal.aborted)
      context.logger.warn("following logs ended", { app: app.name, error: messageOf(error) });
  } finally {
    merge.finish();
  }
}
