import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { onTestFinished } from "vitest";
import type { LogFields, Logger } from "@dinp/core";
import { createFileRouteTable, type FileRouteTable } from "@dinp/core/file";
import { createMemoryRouteTable } from "@dinp/core/memory";
import { createSystemRandom } from "@dinp/core/system";

export interface PlainRoute {
  readonly host: string;
  readonly path?: string;
  readonly app: string;
  readonly endpoints: readonly string[];
}

export function tableText(...routes: readonly PlainRoute[]): string {
  return JSON.stringify({ routes });
}

export const shop: PlainRoute = {
  host: "shop.test",
  app: "shop",
  endpoints: ["10.0.0.5:8080", "10.0.0.6:8080"],
};

/** Log lines as `message {fields}`. */
export class Lines implements Logger {
  readonly warnings: string[] = [];
  debug(): void {}
  info(): void {}
  error(message: string, fields: LogFields = {}): void {
    this.warn(message, fields);
  }
  warn(message: string, fields: LogFields = {}): void {
    this.warnings.push(`${message} ${JSON.stringify(fields)}`);
  }
}

export async function tempFolder(): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), "dinp-routes-"));
  onTestFinished(() => rm(folder, { recursive: true, force: true }));
  return folder;
}

export interface TableOptions {
  readonly historyMax?: number;
  readonly settleMs?: number;
}

export function tableOver(path: string, logger: Logger, options: TableOptions = {}): FileRouteTable {
  const { historyMax = 1_000, settleMs = 50 } = options;
  const versions = createMemoryRouteTable({ random: createSystemRandom(), historyMax });
  return createFileRouteTable({ path, versions, logger, settleMs });
}

export interface Opened {
  readonly path: string;
  readonly folder: string;
  readonly table: FileRouteTable;
  readonly lines: Lines;
}

/** A table that is open over a file with this text; closed after the test. */
export async function openTable(text: string, options?: TableOptions): Promise<Opened> {
  const folder = await tempFolder();
  const path = join(folder, "routes.json");
  await writeFile(path, text);
  const lines = new Lines();
  const table = tableOver(path, lines, options);
  await table.open();
  onTestFinished(() => table.close());
  return { path, folder, table, lines };
}

/** `host/path → address address` of each route. */
export async function served(table: FileRouteTable): Promise<readonly string[]> {
  const { routes } = await table.snapshot();
  return routes.map(
    ({ host, path, endpoints }) =>
      `${host}${path} → ${endpoints.map((endpoint) => `${endpoint.host}:${String(endpoint.port)}`).join(" ")}`,
  );
}
