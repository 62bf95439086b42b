import { Socket } from "node:net";
import type { Connection } from "mysql2";
import { chunks, SqlFailure, type SqlConnection, type SqlRow, type Statement } from "../sql/index.js";
import { mysqlText } from "./literals.js";
import { failureOf } from "./mysql-failure.js";

type Rows = readonly (readonly SqlRow[])[];

const SEPARATOR = "; ";
/** Of statements that are sent together: the server parses one piece after the other. */
const PIECE_BYTES_MAX = 1024 * 1024;
const PIECE_STATEMENTS_MAX = 1_000;

export class MysqlConnection implements SqlConnection {
  /** The longest packet that the server takes. */
  packetBytesMax = Infinity;
  readonly #connection: Connection;
  /** How those are told that wait for an answer: the driver forgets them when it lets go of the connection. */
  readonly #waiting = new Set<(failure: SqlFailure) => void>();
  #isUsable = true;

  constructor(connection: Connection) {
    this.#connection = connection;
    const onGone = (): void => {
      this.#isUsable = false;
    };
    connection.on("error", onGone);
    connection.on("end", onGone);
  }

  get isUsable(): boolean {
    return this.#isUsable;
  }

  run(statements: readonly Statement[]): Promise<Rows> {
    return this.#send(statements.map(mysqlText));
  }

  async execute(commands: readonly string[], statements: readonly Statement[] = []): Promise<Rows> {
    const rows = await this.#send([...commands, ...statements.map(mysqlText)]);
    return rows.slice(commands.length);
  }

  async commit(statements: readonly Statement[]): Promise<Rows | null> {
    let answered = 0;
    try {
      const rows = await this.#send([...statements.map(mysqlText), "COMMIT"], () => (answered += 1));
      return rows.slice(0, -1);
    } catch (error) {
      const failure = failureOf(error);
      if (failure.kind === "lost" || !this.#isUsable) throw failure;
      // The server goes no further than the statement that failed.
      if (answered < statements.length) await this.#rollBack();
      else if (failure.kind !== "retry")
        throw new SqlFailure("unknown", failure.message, failure.code, failure.hint);
      throw failure;
    }
  }

  end(): Promise<void> {
    this.#isUsable = false;
    return new Promise((resolve) => {
      this.#connection.end(() => {
        resolve();
      });
    });
  }

  destroy(): void {
    this.#isUsable = false;
    this.#connection.destroy();
    // The driver only says that it sends no more, and a server that stands still would keep the socket.
    socketOf(this.#connection)?.destroy();
    for (const fail of this.#waiting) fail(new SqlFailure("lost", "the connection was cut"));
  }

  /** Resolves when the server has let it in. */
  ready(): Promise<void> {
    return this.#answered<undefined>((onAnswer) => {
      this.#connection.connect((error) => {
        onAnswer(error, undefined);
      });
    });
  }

  /** In pieces of many statements; the server takes none of those after one that fails. */
  async #send(texts: readonly string[], onAnswer: () => void = () => undefined): Promise<Rows> {
    const bounds = { sizeOf: byteLength, max: Math.min(PIECE_BYTES_MAX, this.packetBytesMax - 1) };
    const rows: (readonly SqlRow[])[] = [];
    for (const piece of chunks(texts, PIECE_STATEMENTS_MAX, bounds)) {
      rows.push(...(await this.#query(piece, onAnswer)));
    }
    return rows;
  }

  async #query(texts: readonly string[], onAnswer: () => void): Promise<Rows> {
    // By text, not as a prepared statement: lists make each a text of its own, and the server keeps them all.
    const text = texts.join(SEPARATOR);
    if (!this.#isUsable) throw new SqlFailure("lost", "the connection is gone");
    if (Buffer.byteLength(text) >= this.packetBytesMax) throw tooLarge(this.packetBytesMax);
    try {
      const results = await this.#answered<unknown>((onResults) => {
        this.#connection.query(text, onResults).on("fields", onAnswer);
      });
      return (texts.length === 1 ? [results] : asArray(results)).map(rowsOf);
    } catch (error) {
      const failure = failureOf(error);
      if (failure.kind === "lost" || failure.kind === "read-only") this.destroy();
      throw failure;
    }
  }

  /** What the driver calls back with; a `SqlFailure` when that is an error, or the connection is cut before. */
  #answered<T>(ask: (callback: (error: Error | null, answer: T) => void) => void): Promise<T> {
    return new Promise((resolve, reject) => {
      this.#waiting.add(reject);
      ask((error, answer) => {
        this.#waiting.delete(reject);
        if (error === null) resolve(answer);
        else reject(failureOf(error));
      });
    });
  }

  async #rollBack(): Promise<void> {
    try {
      await this.#send(["ROLLBACK"]);
    } catch {
      // The server does it when the connection is gone.
      this.destroy();
    }
  }
}

/** Its declaration leaves it out. */
function socketOf(connection: Connection): Socket | undefined {
  return "stream" in connection && connection.stream instanceof Socket ? connection.stream : undefined;
}

function byteLength(text: string): number {
  return Buffer.byteLength(text) + SEPARATOR.length;
}

function asArray(results: unknown): readonly unknown[] {
  return Array.isArray(results) ? results : [];
}

/** What is no query is answered by a header. */
function rowsOf(result: unknown): readonly SqlRow[] {
  return Array.isArray(result) ? (result as readonly SqlRow[]) : [];
}

function tooLarge(bytesMax: number): SqlFailure {
  return new SqlFailure(
    "too-large",
    `it takes statements of up to ${String(bytesMax)} bytes`,
    null,
    "Commit less at once, or raise the server's max_allowed_packet.",
  );
}
