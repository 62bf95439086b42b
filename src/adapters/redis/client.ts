import type { ConnectionOptions } from "node:tls";
import { DinpError, messageOf } from "@dinp/core";
import type { Cluster, ClusterOptions, Redis, RedisOptions } from "ioredis";
import type { PlaceSettings, RedisAddress, RedisCredentials, RedisTls } from "./options.js";
import { within } from "./within.js";

/** What is used of the driver's clients. */
export interface RedisClient {
  /** `ready` while commands can be sent. */
  readonly status: string;
  call(command: string, ...args: string[]): Promise<unknown>;
  subscribe(...channels: string[]): Promise<unknown>;
  ping(): Promise<unknown>;
  on(event: "message", listener: (channel: string, text: string) => void): unknown;
  on(event: "end", listener: () => void): unknown;
  disconnect(): void;
}

/** Whether the driver did not even try to send a command. */
export function isUnsent(error: unknown): boolean {
  return messageOf(error).includes("enableOfflineQueue");
}

/** Whether a server answers, by itself, with an error. */
export function isReply(error: unknown): boolean {
  return error instanceof Error && error.name === "ReplyError";
}

/**
 * Connects once, and never again by itself: a connection that is lost stays lost, so that nothing is sent twice and
 * nothing waits in a queue. Rejects with the driver's reason.
 */
export async function connectClient(place: PlaceSettings, timeoutMs: number): Promise<RedisClient> {
  const driver = await loadDriver();
  const client = makeClient(driver, place, timeoutMs);
  let reason: unknown = null;
  // Also so that the driver does not write of it to standard error.
  client.on("error", (error: unknown) => {
    reason ??= error;
  });
  try {
    await within(client.connect(), timeoutMs);
    return client;
  } catch (error) {
    client.disconnect();
    throw reason ?? error;
  }
}

interface Driver {
  readonly Redis: typeof Redis;
  readonly Cluster: typeof Cluster;
}

async function loadDriver(): Promise<Driver> {
  try {
    return await import("ioredis");
  } catch (error) {
    throw new DinpError("DINP_DRIVER_MISSING", `The package ioredis cannot be loaded: ${messageOf(error)}`, {
      cause: error,
      hint: "Run `npm install ioredis@5`.",
      details: { package: "ioredis" },
    });
  }
}

function makeClient({ Redis, Cluster }: Driver, place: PlaceSettings, timeoutMs: number): Redis | Cluster {
  switch (place.kind) {
    case "server": {
      const { address, credentials, database, tls } = place;
      return new Redis({ ...common(credentials, tls, timeoutMs), ...once, ...address, db: database });
    }
    case "sentinels":
      return new Redis({ ...common(place.credentials, place.tls, timeoutMs), ...once, ...sentinels(place) });
    case "cluster":
      return new Cluster(
        [...place.nodes],
        cluster(common(place.credentials, place.tls, timeoutMs), timeoutMs),
      );
  }
}

/** Neither a second connection nor a queue. */
const once: RedisOptions = { lazyConnect: true, enableOfflineQueue: false, retryStrategy: () => null };

function common(
  credentials: RedisCredentials | undefined,
  tls: RedisTls | null | undefined,
  timeoutMs: number,
): RedisOptions {
  return {
    ...credentials,
    ...(tls === null || tls === undefined ? {} : { tls: tlsOf(tls) }),
    connectTimeout: timeoutMs,
    keepAlive: 30_000,
    autoResubscribe: false,
    autoResendUnfulfilledCommands: false,
    maxLoadingRetryTime: 200,
    disableClientInfo: true,
  };
}

function sentinels(place: Extract<PlaceSettings, { kind: "sentinels" }>): RedisOptions {
  const { sentinelCredentials = {}, tls } = place;
  return {
    sentinels: place.sentinels.map(({ host, port }: RedisAddress) => ({ host, port })),
    name: place.primary,
    role: "master",
    db: place.database ?? 0,
    sentinelRetryStrategy: () => null,
    ...(sentinelCredentials.username === undefined ? {} : { sentinelUsername: sentinelCredentials.username }),
    ...(sentinelCredentials.password === undefined ? {} : { sentinelPassword: sentinelCredentials.password }),
    ...(tls === undefined ? {} : { enableTLSForSentinelMode: true, sentinelTLS: tlsOf(tls) }),
  };
}

function cluster(redisOptions: RedisOptions, timeoutMs: number): ClusterOptions {
  return {
    lazyConnect: true,
    enableOfflineQueue: false,
    clusterRetryStrategy: () => null,
    // A command whose connection was lost may have been carried out.
    retryDelayOnFailover: 0,
    retryDelayOnClusterDown: 0,
    slotsRefreshTimeout: timeoutMs,
    redisOptions,
  };
}

function tlsOf({ ca, certificate, key, serverName }: RedisTls): ConnectionOptions {
  return {
    ...(ca === undefined ? {} : { ca }),
    ...(certificate === undefined ? {} : { cert: certificate }),
    ...(key === undefined ? {} : { key }),
    ...(serverName === undefined ? {} : { servername: serverName }),
  };
}
