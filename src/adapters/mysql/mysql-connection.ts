import type { Connection } from "mysql2";
import { SqlFailure, type SqlConnection, type SqlRow, type Statement } from "../sql/index.js";
import { mysqlText } from "./literals.js";
import { failureOf } from "./mysql-failure.js";

export class MysqlConnection implements SqlConnection {
  /** The longest packet that the server takes. */
  packetBytesMax = Infinity;
  readonly #connection: Connection;
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

  async run(statements: readonly Statement[]): Promise<readonly (readonly SqlRow[])[]> {
    const results: (readonly SqlRow[])[] = [];
    for (const statement of statements) results.push(await this.#query(mysqlText(statement)));
    return results;
  }

  async execute(commands: readonly string[]): Promise<void> {
    for (const command of commands) await this.#query(command);
  }

  async commit(): Promise<boolean> {
    await this.#query("COMMIT");
    return true;
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
  }

  /** Resolves when the server has let it in. */
  ready(): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#connection.connect((error) => {
        if (error === null) resolve();
        else reject(failureOf(error));
      });
    });
  }

  #query(text: string): Promise<readonly SqlRow[]> {
    // By text, not as a prepared statement: lists make each a text of its own, and the server keeps them all.
    return new Promise((resolve, reject) => {
      if (!this.#isUsable) {
        reject(new SqlFailure("lost", "the connection is gone"));
        return;
      }
      if (Buffer.byteLength(text) >= this.packetBytesMax) {
        reject(tooLarge(this.packetBytesMax));
        return;
      }
      this.#connection.query(text, (error, rows) => {
        if (error === null) {
          resolve(Array.isArray(rows) ? (rows as readonly SqlRow[]) : []);
          return;
        }
        const failure = failureOf(error);
        if (failure.kind === "lost" || failure.kind === "read-only") this.destroy();
        reject(failure);
      });
    });
  }
}

function tooLarge(bytesMax: number): SqlFailure {
  return new SqlFailure(
    "too-large",
    `it takes statements of up to ${String(bytesMax)} bytes`,
    null,
    "Commit less at once, or raise the server's max_allowed_packet.",
  );
}
