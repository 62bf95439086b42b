import type { Logger, Random } from "@dinp/core";
import { parseServerUrl } from "./server-url.js";

/** Where a server listens. */
export interface RedisAddress {
  readonly host: string;
  /** 1 to 65535. */
  readonly port: number;
}

/** How connections are encrypted; `{}` is TLS that trusts the system's authorities. */
export interface RedisTls {
  /** Certificates of the authorities to trust instead of the system's, as PEM. */
  readonly ca?: string;
  /** This client's certificate and its private key, as PEM, where the server asks for one. */
  readonly certificate?: string;
  readonly key?: string;
  /** The name in the server's certificate, where it is not the host that is connected to. */
  readonly serverName?: string;
}

export interface RedisCredentials {
  /** Without one it is Redis's user `default`. */
  readonly username?: string;
  readonly password?: string;
}

/** One server. */
export interface RedisServer {
  /** `redis://[USER:PASSWORD@]HOST[:PORT][/DATABASE]`, or `rediss://` for TLS; user and password are percent-encoded. */
  readonly url: string;
  /** With `rediss://` only. */
  readonly tls?: RedisTls;
}

/** A primary with replicas that Sentinel looks after; whoever is primary is asked, and the next one after a fail-over. */
export interface RedisSentinels {
  readonly sentinels: readonly RedisAddress[];
  /** The name by which the sentinels know the primary (`sentinel monitor NAME …`). */
  readonly primary: string;
  readonly credentials?: RedisCredentials;
  /** Where the sentinels themselves ask for a password. */
  readonly sentinelCredentials?: RedisCredentials;
  /** Default 0. */
  readonly database?: number;
  /** For sentinels and servers alike. */
  readonly tls?: RedisTls;
}

/** A Redis Cluster. The table lies in one slot, so in one of its shards. */
export interface RedisCluster {
  /** Some of its nodes; the others are learned from them. */
  readonly nodes: readonly RedisAddress[];
  readonly credentials?: RedisCredentials;
  readonly tls?: RedisTls;
}

export type RedisPlace = RedisServer | RedisSentinels | RedisCluster;

export interface RedisRouteTableOptions {
  readonly redis: RedisPlace;
  /** The platform's cluster that the table is of: several can share a Redis. 1 to 64 of `a-z 0-9 . _ -`. */
  readonly cluster: string;
  /** Makes incarnations and the marks of applies. */
  readonly random: Pick<Random, "bytes">;
  /** Told when a watch loses its connection, and when it has it again. */
  readonly logger?: Logger;
  /** The longest that a command is waited for, in milliseconds; then its connection is given up. Default 3,000. */
  readonly commandTimeoutMs?: number;
  /** The longest that a connection may take until it can be used, in milliseconds. Default 5,000. */
  readonly connectTimeoutMs?: number;
  /** A watch asks this often, in milliseconds, besides being told: what was not told is seen then. Default 5,000. */
  readonly pollMs?: number;
  /** Versions that a watch can go back. Default 2,000. */
  readonly historyMax?: number;
  /** Characters of changes that are kept for watches; at least 1,048,576. Default 16,777,216. */
  readonly historyCharsMax?: number;
}

/** Options with their defaults, checked. */
export interface Settings {
  readonly place: PlaceSettings;
  readonly cluster: string;
  readonly random: Pick<Random, "bytes">;
  readonly logger: Logger | null;
  readonly commandTimeoutMs: number;
  readonly connectTimeoutMs: number;
  readonly pollMs: number;
  readonly historyMax: number;
  readonly historyCharsMax: number;
}

export type PlaceSettings =
  ServerSettings | (RedisSentinels & Kind<"sentinels">) | (RedisCluster & Kind<"cluster">);

export interface ServerSettings extends Kind<"server"> {
  readonly address: RedisAddress;
  readonly credentials: RedisCredentials;
  readonly database: number;
  readonly tls: RedisTls | null;
}

interface Kind<Name extends string> {
  readonly kind: Name;
}

const HISTORY_CHARS_LEAST = 1_048_576;

/** Throws `TypeError` for what cannot be meant; a password is never in its message. */
export function settingsOf(options: RedisRouteTableOptions): Settings {
  const { cluster, random, logger = null } = options;
  if (!/^[a-z0-9._-]{1,64}$/.test(cluster)) {
    throw new TypeError(
      `cluster must be 1 to 64 of a-z, 0-9, ".", "_" and "-"; got ${JSON.stringify(cluster)}.`,
    );
  }
  return {
    place: placeOf(options.redis),
    cluster,
    random,
    logger,
    commandTimeoutMs: atLeast("commandTimeoutMs", options.commandTimeoutMs ?? 3_000, 1),
    connectTimeoutMs: atLeast("connectTimeoutMs", options.connectTimeoutMs ?? 5_000, 1),
    pollMs: atLeast("pollMs", options.pollMs ?? 5_000, 1),
    historyMax: atLeast("historyMax", options.historyMax ?? 2_000, 1),
    historyCharsMax: atLeast("historyCharsMax", options.historyCharsMax ?? 16_777_216, HISTORY_CHARS_LEAST),
  };
}

function placeOf(place: RedisPlace): PlaceSettings {
  if ("url" in place) return { kind: "server", ...parseServerUrl(place) };
  if ("sentinels" in place) {
    assertAddresses("sentinels", place.sentinels);
    if (place.primary === "") throw new TypeError("primary must name what the sentinels monitor.");
    atLeast("database", place.database ?? 0, 0);
    return { kind: "sentinels", ...place };
  }
  assertAddresses("nodes", place.nodes);
  return { kind: "cluster", ...place };
}

function assertAddresses(name: string, addresses: readonly RedisAddress[]): void {
  if (addresses.length === 0) throw new TypeError(`${name} must have at least one address.`);
  for (const { host, port } of addresses) {
    if (host === "" || !Number.isInteger(port) || port < 1 || port > 65_535) {
      throw new TypeError(`${name} must have a host and a port of 1 to 65535; got ${host}:${String(port)}.`);
    }
  }
}

function atLeast(name: string, value: number, least: number): number {
  if (Number.isSafeInteger(value) && value >= least) return value;
  throw new TypeError(`${name} must be a whole number of at least ${String(least)}; got ${String(value)}.`);
}
