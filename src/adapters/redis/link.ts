import { createHash } from "node:crypto";
import { isDinpError, messageOf } from "@dinp/core";
import { connectClient, isReply, isUnsent, type RedisClient } from "./client.js";
import {
  abortedError,
  closedError,
  isOfWrongServer,
  refusedError,
  unansweredError,
  unreachableError,
} from "./errors.js";
import type { Settings } from "./options.js";
import { within } from "./within.js";

/** A program that Redis runs, atomically. */
export class Script {
  readonly text: string;
  readonly sha: string;

  constructor(text: string) {
    this.text = text;
    this.sha = createHash("sha1").update(text).digest("hex");
  }
}

/**
 * The connection that scripts are sent by: made when it is needed, given up as soon as an answer does not come, and
 * then made anew by the next call. No call is sent twice.
 */
export class RedisLink {
  readonly #settings: Settings;
  /** The table's keys, for people. */
  readonly #pattern: string;
  #connection: Connection | null = null;
  #isClosed = false;

  constructor(settings: Settings, pattern: string) {
    this.#settings = settings;
    this.#pattern = pattern;
  }

  /**
   * Runs a script and gives its answer. `DINP_UNAVAILABLE` when there is none: `isUnanswered` tells whether the script
   * was sent and may have run. The signal ends the wait, not the script; a script that writes is given none.
   */
  async run(
    script: Script,
    keys: readonly string[],
    args: readonly string[],
    signal?: AbortSignal,
  ): Promise<unknown> {
    const client = await orAborted(this.#connect(), signal);
    return orAborted(this.#send(client, script, [String(keys.length), ...keys, ...args]), signal);
  }

  /** Resolves when a call would be sent at once. */
  async ready(signal?: AbortSignal): Promise<void> {
    await orAborted(this.#connect(), signal);
  }

  close(): void {
    this.#isClosed = true;
    const connection = this.#connection;
    this.#connection = null;
    connection?.client?.disconnect();
  }

  async #connect(): Promise<RedisClient> {
    if (this.#isClosed) throw closedError();
    this.#connection ??= this.#begin();
    try {
      return await this.#connection.whenReady;
    } catch (error) {
      throw isDinpError(error) ? error : unreachableError(error);
    }
  }

  /** One connection for all calls that want one meanwhile. */
  #begin(): Connection {
    const whenReady = connectClient(this.#settings.place, this.#settings.connectTimeoutMs);
    const connection: Connection = { whenReady: this.#opened(whenReady), client: null };
    connection.whenReady.then(
      (client) => {
        connection.client = client;
        client.on("end", () => {
          this.#forget(connection);
        });
      },
      () => {
        this.#forget(connection);
      },
    );
    return connection;
  }

  async #opened(connecting: Promise<RedisClient>): Promise<RedisClient> {
    const client = await connecting;
    if (!this.#isClosed) return client;
    client.disconnect();
    throw closedError();
  }

  async #send(client: RedisClient, script: Script, args: readonly string[]): Promise<unknown> {
    try {
      return await this.#answer(client, ["EVALSHA", script.sha, ...args]);
    } catch (error) {
      if (!isReply(error) || !messageOf(error).startsWith("NOSCRIPT")) throw this.#failure(error);
    }
    try {
      return await this.#answer(client, ["EVAL", script.text, ...args]);
    } catch (error) {
      throw this.#failure(error);
    }
  }

  async #answer(client: RedisClient, [command, ...args]: readonly [string, ...string[]]): Promise<unknown> {
    if (client.status !== "ready") throw unreachableError(new Error("the connection was lost"));
    try {
      return await within(client.call(command, ...args), this.#settings.commandTimeoutMs);
    } catch (error) {
      if (!isReply(error) || isOfWrongServer(error)) this.#drop(client);
      throw error;
    }
  }

  #failure(error: unknown): Error {
    if (this.#isClosed) return closedError();
    if (isDinpError(error)) return error;
    if (isReply(error)) return refusedError(error, this.#pattern);
    return isUnsent(error) ? unreachableError(error) : unansweredError(error);
  }

  #forget(connection: Connection): void {
    if (this.#connection === connection) this.#connection = null;
  }

  #drop(client: RedisClient): void {
    if (this.#connection?.client === client) this.#connection = null;
    client.disconnect();
  }
}

interface Connection {
  readonly whenReady: Promise<RedisClient>;
  client: RedisClient | null;
}

/** The promise's result, or `DINP_ABORTED` at once when the signal aborts first. */
export async function orAborted<T>(promise: Promise<T>, signal: AbortSignal | undefined): Promise<T> {
  if (signal === undefined) return promise;
  promise.catch(() => undefined);
  if (signal.aborted) throw abortedError(signal);
  let onAbort: () => void = () => undefined;
  const aborted = new Promise<never>((_resolve, reject) => {
    onAbort = (): void => {
      reject(abortedError(signal));
    };
  });
  signal.addEventListener("abort", onAbort, { once: true });
  try {
    return await Promise.race([promise, aborted]);
  } finally {
    signal.removeEventListener("abort", onAbort);
  }
}
