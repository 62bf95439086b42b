import { DinpError, messageOf } from "@dinp/core";

/** What an answer of Redis that begins with the word means for the caller. */
const REFUSALS: Readonly<Record<string, readonly [problem: string, hint: string]>> = {
  OOM: [
    "is out of memory",
    "Raise its maxmemory; the route table must not be evicted (maxmemory-policy noeviction).",
  ],
  READONLY: ["is a read-only replica", "Give the address of the primary, or of the sentinels that know it."],
  NOREPLICAS: ["has too few replicas to write", "See to its replicas, or lower its min-replicas-to-write."],
  MISCONF: [
    "cannot save its data and takes no writes",
    "See that its disk has space left; its log says more.",
  ],
  LOADING: ["still reads its data", "Wait until it has."],
  BUSY: ["is busy with a script", "See which client runs long scripts on it."],
  MASTERDOWN: ["is a replica without its primary", "See to its primary."],
  CLUSTERDOWN: ["is a cluster that is down", "See that all its slots are served."],
  TRYAGAIN: ["moves the table's slot", "Wait until it has."],
  NOAUTH: ["wants a password", "Give the user and the password in the table's options."],
  WRONGPASS: ["refuses the password", "See that user and password are right."],
  NOPERM: ["does not permit it", "Give the user the rights that docs/redis.md names."],
};

const REFUSAL = new RegExp(`(?:^|[\\s-])(${Object.keys(REFUSALS).join("|")})\\b`);

/** Errors after which it is not known whether the command was carried out. */
const unanswered = new WeakSet<DinpError>();

/** The command was sent, and no answer came. */
export function isUnanswered(error: unknown): boolean {
  return error instanceof DinpError && unanswered.has(error);
}

/** Redis gave no answer, after the command was sent. */
export function unansweredError(error: unknown): DinpError {
  const result = unavailable(
    `gave no answer: ${messageOf(error)}`,
    "See that it runs and is not overloaded.",
    error,
  );
  unanswered.add(result);
  return result;
}

/** No connection, so nothing was sent. */
export function unreachableError(error: unknown): DinpError {
  return (
    refusalOf(error) ??
    unavailable(
      `cannot be reached: ${messageOf(error)}`,
      "See that its address is right and that it runs.",
      error,
    )
  );
}

/** Redis answered with an error: the command was not carried out. */
export function refusedError(error: unknown, keys: string): DinpError {
  if (/(?:^|[\s-])WRONGTYPE\b/.test(messageOf(error))) {
    return corrupt(`A key of ${keys} is of another type than the table's.`, keys, error);
  }
  return refusalOf(error) ?? unavailable(`refused: ${messageOf(error)}`, "Its log may say more.", error);
}

/** Another server may be the one to ask by now. */
export function isOfWrongServer(error: unknown): boolean {
  return /(?:^|[\s-])(?:READONLY|MASTERDOWN|CLUSTERDOWN|LOADING)\b/.test(messageOf(error));
}

/** What is stored cannot be a table. */
export function corrupt(problem: string, keys: string, error?: unknown): DinpError {
  return new DinpError("DINP_CORRUPT", `What Redis has is no route table: ${problem}`, {
    hint: `Delete the keys ${keys}; the platform writes the table anew, and routers keep theirs until then.`,
    ...(error === undefined ? {} : { cause: bare(error) }),
  });
}

/** A stored value, for people. */
export function shown(value: unknown): string {
  return value === undefined || value === null ? "missing" : JSON.stringify(value).slice(0, 120);
}

export function closedError(): DinpError {
  return new DinpError("DINP_CLOSED", "The route table is closed.");
}

export function abortedError(signal: AbortSignal): DinpError {
  return new DinpError("DINP_ABORTED", "The call was aborted.", { cause: signal.reason });
}

function refusalOf(error: unknown): DinpError | null {
  const word = REFUSAL.exec(messageOf(error))?.[1];
  const refusal = word === undefined ? undefined : REFUSALS[word];
  return refusal === undefined ? null : unavailable(refusal[0], refusal[1], error);
}

function unavailable(problem: string, hint: string, error: unknown): DinpError {
  return new DinpError("DINP_UNAVAILABLE", `Redis ${problem}.`, {
    retryable: true,
    hint,
    cause: bare(error),
  });
}

/** The driver's errors carry the command, and with it its arguments: of AUTH, that is the password. */
function bare(error: unknown): Error {
  return new Error(messageOf(error));
}
