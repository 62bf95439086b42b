import type {
  Route,
  RouteChange,
  RouterAcknowledgement,
  RouteTable,
  RouteTableEvent,
  RouteTableVersion,
} from "../ports/route-table.js";
import { Reader } from "./conformance.js";

/** What the suite needs of the table under test; one is made for each case. */
export interface RouteTableHarness {
  /** Without routes and acknowledgements, and opened where it has to be. */
  readonly table: RouteTable;
  /** After so many applies, a watch from before them gets `reset`. At most a few thousand; 12 must not be enough. */
  readonly appliesToReset: number;
  /** Keeps the backend from answering until the returned function is called. Null where the suite is told so. */
  readonly outage: (() => Promise<() => Promise<void>>) | null;
  readonly dispose: () => Promise<void>;
}

/** What only some tables can be asked to show. */
export interface RouteTableSupports {
  /** The harness can keep the backend from answering. */
  readonly outage: boolean;
}

export interface TableCase {
  readonly name: string;
  readonly requires?: keyof RouteTableSupports;
  readonly stays?: string;
  readonly body: (harness: RouteTableHarness) => Promise<void>;
}

export function tableCase(
  name: string,
  body: (harness: RouteTableHarness) => Promise<void>,
  more: Partial<TableCase> = {},
): TableCase {
  return { name, body, ...more };
}

export function route(host: string, path = "/", ports: readonly number[] = [8001]): Route {
  return {
    host,
    path,
    appId: `app-of-${host}`,
    appName: "app",
    endpoints: ports.map((port) => ({ instanceId: `i-${String(port)}`, host: "10.0.0.1", port })),
    unavailable: ports.length === 0 ? "no-ready-instance" : null,
  };
}

export function put(host: string, path?: string, ports?: readonly number[]): RouteChange {
  return { op: "put", route: route(host, path, ports) };
}

export async function versionOf(table: RouteTable): Promise<RouteTableVersion> {
  return (await table.snapshot()).version;
}

/** Applies on top of what is there. */
export async function apply(
  table: RouteTable,
  changes: readonly RouteChange[],
  epoch?: number,
): Promise<RouteTableVersion> {
  const ifVersion = await versionOf(table);
  return table.apply(changes, { epoch: epoch ?? ifVersion.epoch, ifVersion });
}

export async function placesOf(table: RouteTable): Promise<readonly string[]> {
  return (await table.snapshot()).routes.map(({ host, path }) => `${host}${path}`).sort();
}

export function acknowledgement(
  routerId: string,
  version: RouteTableVersion,
  busy: readonly string[] = [],
): RouterAcknowledgement {
  return { routerId, version, busy };
}

export async function watched(table: RouteTable, after?: RouteTableVersion) {
  const controller = new AbortController();
  const from = after ?? (await versionOf(table));
  const reader = new Reader<RouteTableEvent>(table.watch({ after: from, signal: controller.signal }));
  return {
    reader,
    stop: () => {
      controller.abort();
    },
  };
}
