import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createGzip } from "node:zlib";
import { Readable } from "node:stream";
import {
  createBaseSource,
  createBuilder,
  createImages,
  createPlatform,
  type ArchiveEntry,
  type BuildView,
  type ByteStream,
  type Caller,
  type Clock,
  type InstanceStatus,
  type Kind,
  type Logger,
  type LogLine,
  type LogRequest,
  type Node,
  type Placement,
  type Platform,
  type PlatformOptions,
  type RecordTypes,
  type Registry,
  type Rollout,
  type StateStore,
  type Write,
  type WriteOptions,
} from "@dinp/core";
import { createMemoryStateStore } from "@dinp/core/memory";
import { createOciLayoutRegistry } from "@dinp/core/oci-layout";
import { createNodeHasher, createSystemClock, createSystemRandom } from "@dinp/core/system";
import { createTarArchive } from "@dinp/core/tar";
import { parseYaml } from "@dinp/core/yaml";

/** A log that keeps what it was told. */
export class MemoryLogger implements Logger {
  readonly lines: string[] = [];

  debug(): void {
    // Not of interest.
  }

  info(message: string): void {
    this.lines.push(message);
  }

  warn(message: string, fields: object = {}): void {
    this.lines.push(`${message} ${JSON.stringify(fields)}`);
  }

  error(message: string, fields: object = {}): void {
    this.lines.push(`${message} ${JSON.stringify(fields)}`);
  }
}

/** The system's clock, which a test can put forward. */
export class ShiftedClock implements Clock {
  readonly #system = createSystemClock();
  offsetMs = 0;

  now(): number {
    return this.#system.now() + this.offsetMs;
  }

  monotonicMs(): number {
    return this.#system.monotonicMs();
  }

  sleep(ms: number, options?: { readonly signal?: AbortSignal }): Promise<void> {
    return this.#system.sleep(ms, options);
  }
}

export type Files = Readonly<Record<string, string>>;

async function* entries(files: Files): AsyncGenerator<ArchiveEntry> {
  for (const [path, text] of Object.entries(files)) {
    const bytes = new TextEncoder().encode(text);
    yield {
      path,
      type: "file",
      mode: 0o644,
      size: bytes.length,
      linkTarget: null,
      content: Readable.from([bytes]),
    };
    await Promise.resolve();
  }
}

/** A `.tar.gz` of the files. */
export function archiveOf(files: Files): ByteStream {
  return Readable.from(createTarArchive().write(entries(files))).pipe(createGzip());
}

export const nodeApp: Files = {
  "package.json": '{"scripts": {"start": "node server.js"}}',
  "server.js": "require('http').createServer((q, s) => s.end('hello')).listen(process.env.PORT)",
};

/** A platform over real parts and a store in memory, with hands to write what a leader and its agents would. */
export interface World extends AsyncDisposable {
  readonly store: StateStore;
  readonly registry: Registry;
  readonly platform: Platform;
  readonly clock: ShiftedClock;
  readonly logger: MemoryLogger;
  readonly caller: Caller;
  readonly secret: string;
  /** Lines by instance id: what `platform.logs` finds. */
  readonly logLines: Map<string, string[]>;
  write(idempotencyKey?: string): WriteOptions;
  build(app: string, files?: Files): Promise<BuildView>;
  push(app: string, files?: Files): Promise<number>;
  put<K extends Kind>(kind: K, value: RecordTypes[K]): Promise<void>;
  records<K extends Kind>(kind: K): Promise<RecordTypes[K][]>;
  /** Ends the rollout of the app's current release as the leader would. */
  endRollout(app: string, state: Rollout["state"]): Promise<void>;
  /** Places an instance of the app's current release, ready or not. */
  place(app: string, instanceId: string, ready: boolean): Promise<void>;
}

export const testNode: Node = {
  id: "node-1",
  address: "127.0.0.1",
  memoryMb: 4_096,
  cpuMillis: 2_000,
  runtime: "process",
  programs: ["node", "python3"],
  labels: {},
  cordoned: false,
  registeredAt: 0,
};

export async function createWorld(options: Partial<PlatformOptions> = {}): Promise<World> {
  const folder = await mkdtemp(join(tmpdir(), "dinp-platform-"));
  const clock = new ShiftedClock();
  const random = createSystemRandom();
  const hasher = createNodeHasher();
  const store = options.store ?? createMemoryStateStore({ clock });
  await store.open();
  const logger = new MemoryLogger();
  const logLines = new Map<string, string[]>();
  const registry = createOciLayoutRegistry({ dir: join(folder, "registry") });
  const archive = createTarArchive();
  const builder = createBuilder({
    bases: createBaseSource(store),
    registry,
    archive,
    hasher,
    clock,
    parseYaml,
  });
  const platform = createPlatform({
    store,
    clock,
    random,
    hasher,
    builder,
    images: createImages({ registry, archive }),
    logger,
    logs: { logs: (request) => linesOf(logLines, clock, request) },
    info: () => ({
      version: "0.0.0",
      clusterId: "test",
      appsDomain: "apps.localhost",
      routerUrl: "http://127.0.0.1:8080",
    }),
    ...options,
  });
  const { secret } = await platform.createAdminToken();
  const caller = await platform.authenticate(secret);
  return new TestWorld(folder, store, registry, platform, clock, logger, caller, secret, logLines);
}

async function* linesOf(
  lines: ReadonlyMap<string, string[]>,
  clock: Clock,
  { instanceId, tail, follow, signal }: LogRequest,
): AsyncGenerator<LogLine> {
  let next = Math.max(0, (lines.get(instanceId)?.length ?? 0) - tail);
  for (;;) {
    const known = lines.get(instanceId) ?? [];
    for (; next < known.length; next += 1) yield { instanceId, text: known[next] ?? "" };
    if (!follow || signal.aborted) return;
    await clock.sleep(5, { signal }).catch(() => undefined);
  }
}

class TestWorld implements World {
  readonly #folder: string;
  readonly store: StateStore;
  readonly registry: Registry;
  readonly platform: Platform;
  readonly clock: ShiftedClock;
  readonly logger: MemoryLogger;
  readonly caller: Caller;
  readonly secret: string;
  readonly logLines: Map<string, string[]>;

  constructor(
    folder: string,
    store: StateStore,
    registry: Registry,
    platform: Platform,
    clock: ShiftedClock,
    logger: MemoryLogger,
    caller: Caller,
    secret: string,
    logLines: Map<string, string[]>,
  ) {
    this.#folder = folder;
    this.store = store;
    this.registry = registry;
    this.platform = platform;
    this.clock = clock;
    this.logger = logger;
    this.caller = caller;
    this.secret = secret;
    this.logLines = logLines;
  }

  write(idempotencyKey?: string): WriteOptions {
    return { caller: this.caller, idempotencyKey };
  }

  build(app: string, files: Files = nodeApp): Promise<BuildView> {
    return this.platform.createBuild(app, { bytes: archiveOf(files) }, this.write());
  }

  async push(app: string, files?: Files): Promise<number> {
    const { id } = await this.build(app, files);
    return (await this.platform.createRelease(app, { buildId: id }, this.write())).number;
  }

  async put<K extends Kind>(kind: K, value: RecordTypes[K]): Promise<void> {
    const write = { op: "put", kind, value };
    await this.store.commit([write as Write]);
  }

  async records<K extends Kind>(kind: K): Promise<RecordTypes[K][]> {
    const values: RecordTypes[K][] = [];
    for await (const { value } of this.store.list(kind)) values.push(value);
    return values;
  }

  async #current(
    name: string,
  ): Promise<{ readonly appId: string; readonly releaseId: string; readonly number: number }> {
    const app = await this.store.getUnique("app", "name", name);
    const release = await this.store.get("release", app?.value.currentRelease ?? "");
    if (app === null || release === null) throw new Error(`no release of ${name}`);
    return { appId: app.key, releaseId: release.key, number: release.value.number };
  }

  async endRollout(app: string, state: Rollout["state"]): Promise<void> {
    const now = this.clock.now();
    const endedAt = state === "running" ? null : now;
    const current = await this.#current(app);
    await this.put("rollout", {
      ...current,
      state,
      startedAt: now,
      endedAt,
      reason: `is ${state}`,
      logTail: [],
    });
  }

  async place(app: string, instanceId: string, ready: boolean): Promise<void> {
    const { appId, releaseId } = await this.#current(app);
    const now = this.clock.now();
    const placement: Placement = {
      instanceId,
      appId,
      releaseId,
      nodeId: testNode.id,
      desired: "running",
      reason: "wanted",
      createdAt: now,
      changedAt: now,
    };
    const status: InstanceStatus = {
      instanceId,
      appId,
      releaseId,
      nodeId: testNode.id,
      phase: ready ? "running" : "starting",
      ready,
      readyAt: ready ? now : null,
      endpoint: { instanceId, host: "127.0.0.1", port: 20_001 },
      startedAt: now,
      reason: "",
      exit: null,
      seq: 1,
    };
    await this.store.commit([
      { op: "put", kind: "placement", value: placement },
      { op: "put", kind: "instanceStatus", value: status },
    ]);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.store.close();
    await rm(this.#folder, { recursive: true, force: true });
  }
}
