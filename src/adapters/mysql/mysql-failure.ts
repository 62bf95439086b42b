import { messageOf } from "@dinp/core";
import { SqlFailure, type SqlFailureKind } from "../sql/index.js";

/** Numbers of errors by what they mean here (MySQL 8.4 and MariaDB: the server's error message reference). */
const numbers: Readonly<Partial<Record<SqlFailureKind, readonly number[]>>> = {
  // No revision for the log (see `logInsertion`); duplicate key; lock wait timeout; deadlock; a row has changed since it was read; rolled back by the cluster.
  retry: [1048, 1062, 1205, 1213, 1020, 1614, 3101],
  // Shutting down; broken off by the network, by KILL, by wait_timeout.
  lost: [1053, 1080, 1152, 1158, 1159, 1160, 1161, 1927, 4031],
  "read-only": [1290, 1792, 1836],
  "too-large": [1153, 1301],
  corrupt: [1194, 1195, 1712],
  unavailable: [
    // No more connections; not let in; no such database; no right to do so.
    ...[1040, 1203, 1226, 1044, 1045, 1049, 1142, 1143, 1227, 1698, 3118],
    // No memory, disk or room left; a cluster's node is not ready; interrupted.
    ...[1021, 1028, 1030, 1037, 1041, 1114, 1047, 1317, 1969, 3024],
  ],
};

const kinds: ReadonlyMap<number, SqlFailureKind> = new Map(
  Object.entries(numbers).flatMap(([kind, list]) =>
    list.map((number) => [number, kind as SqlFailureKind] as const),
  ),
);

/** What the driver or the server said. */
export function failureOf(error: unknown): SqlFailure {
  if (error instanceof SqlFailure) return error;
  const number = numberOf(error);
  if (number === null) return new SqlFailure("lost", messageOf(error));
  const kind = kinds.get(number) ?? "unexpected";
  return new SqlFailure(kind, textOf(kind, error), String(number), hintOf(number));
}

/** The server's number; the driver's own errors have none. */
function numberOf(error: unknown): number | null {
  if (typeof error !== "object" || error === null || !("errno" in error && "sqlState" in error)) return null;
  return typeof error.errno === "number" && error.errno >= 1_000 ? error.errno : null;
}

/** The server repeats values in its messages: a duplicate's, or a piece of a statement. They are left out. */
function textOf(kind: SqlFailureKind, error: unknown): string {
  if (kind === "retry") return "the transaction lost against another one";
  return kind === "unexpected" ? messageOf(error).replaceAll(/'[^]*'/g, "'…'") : messageOf(error);
}

function hintOf(number: number): string | undefined {
  if (number === 1045 || number === 1698) return "See the user and the password in its URL.";
  if (number === 1049) return "Create the database that its URL names.";
  if ([1044, 1142, 1143, 1227].includes(number)) return "Grant the user what docs/databases.md lists.";
  if ([1040, 1203, 1226].includes(number))
    return "Lower connectionsMax, or let the server take more connections.";
  if ([1021, 1114].includes(number)) return "See that the server has disk left.";
  return number === 1153 ? "Commit less at once, or raise the server's max_allowed_packet." : undefined;
}
