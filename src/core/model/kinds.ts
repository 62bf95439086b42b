import type {
  App,
  Base,
  Build,
  BuildLogRecord,
  CrashRecord,
  Domain,
  EventRecord,
  ImageDiscard,
  IdempotencyRecord,
  InstanceStatus,
  JoinToken,
  Node,
  NodeCredential,
  Placement,
  RegistryAccount,
  Release,
  Rollout,
  RouterRegistration,
  Setting,
  Token,
} from "./records.js";
import { secretVersionKey, type SecretVersion } from "./secrets.js";
import { withdrawalKey, type Withdrawal } from "./withdrawal.js";

/** Every kind of record and its type. */
export interface RecordTypes {
  readonly app: App;
  readonly release: Release;
  readonly placement: Placement;
  readonly instanceStatus: InstanceStatus;
  readonly node: Node;
  readonly domain: Domain;
  readonly build: Build;
  readonly buildLog: BuildLogRecord;
  readonly base: Base;
  readonly registryAccount: RegistryAccount;
  readonly secretVersion: SecretVersion;
  readonly imageDiscard: ImageDiscard;
  readonly rollout: Rollout;
  readonly crash: CrashRecord;
  readonly router: RouterRegistration;
  readonly withdrawal: Withdrawal;
  readonly token: Token;
  readonly joinToken: JoinToken;
  readonly nodeCredential: NodeCredential;
  readonly idempotency: IdempotencyRecord;
  readonly event: EventRecord;
  readonly setting: Setting;
}

export type Kind = keyof RecordTypes;

/** How records of one kind are keyed: pure data about a kind, so that every store enforces the same. */
export interface KindSchema<T> {
  /** The primary key. Keys are non-empty, at most 255 characters of printable ASCII, compared byte by byte. */
  readonly key: (record: T) => string;
  /** Values that no two live records of the kind may share, each with its name. */
  readonly unique: Readonly<Record<string, (record: T) => string | null>>;
  /** Values by which `list` can select, each with its name. */
  readonly indexes: Readonly<Record<string, (record: T) => string | null>>;
}

/** The key of a domain's record. */
export function domainKey(host: string, path: string): string {
  return `${host}${path}`;
}

/** The key of a registry account's record. */
export function registryAccountKey(teamId: string, host: string): string {
  return `${teamId}/${host}`;
}

/** The schema of every kind. */
export const kindSchemas: { readonly [K in Kind]: KindSchema<RecordTypes[K]> } = {
  app: {
    key: (app) => app.id,
    unique: { name: (app) => (app.deletedAt === null ? app.name : null) },
    indexes: {},
  },
  release: {
    key: (release) => release.id,
    unique: { number: (release) => `${release.appId}/${String(release.number)}` },
    indexes: { app: (release) => release.appId },
  },
  placement: {
    key: (placement) => placement.instanceId,
    unique: {},
    indexes: { app: (placement) => placement.appId, node: (placement) => placement.nodeId },
  },
  instanceStatus: {
    key: (status) => status.instanceId,
    unique: {},
    indexes: { app: (status) => status.appId, node: (status) => status.nodeId },
  },
  node: { key: (node) => node.id, unique: {}, indexes: {} },
  domain: {
    key: (domain) => domainKey(domain.host, domain.path),
    unique: {},
    indexes: { app: (domain) => domain.appId },
  },
  build: { key: (build) => build.id, unique: {}, indexes: { appName: (build) => build.appName } },
  buildLog: { key: (log) => log.buildId, unique: {}, indexes: {} },
  base: { key: (base) => base.name, unique: {}, indexes: {} },
  registryAccount: {
    key: (account) => registryAccountKey(account.teamId, account.host),
    unique: {},
    indexes: { team: (account) => account.teamId },
  },
  secretVersion: {
    key: ({ appId, name, version }) => secretVersionKey(appId, name, version),
    unique: {},
    indexes: { app: (version) => version.appId },
  },
  imageDiscard: { key: (discard) => discard.id, unique: {}, indexes: {} },
  rollout: {
    key: (rollout) => rollout.releaseId,
    unique: {},
    indexes: { app: (rollout) => rollout.appId },
  },
  crash: { key: (crash) => crash.releaseId, unique: {}, indexes: { app: (crash) => crash.appId } },
  router: { key: (router) => router.id, unique: {}, indexes: {} },
  withdrawal: { key: withdrawalKey, unique: {}, indexes: { app: (withdrawal) => withdrawal.appId } },
  token: { key: (token) => token.id, unique: { hash: (token) => token.hash }, indexes: {} },
  joinToken: { key: (token) => token.id, unique: { hash: (token) => token.hash }, indexes: {} },
  nodeCredential: { key: (credential) => credential.nodeId, unique: {}, indexes: {} },
  idempotency: { key: (record) => record.key, unique: {}, indexes: {} },
  event: {
    key: (event) => event.id,
    unique: {},
    indexes: { app: (event) => event.appId, instance: (event) => event.instanceId },
  },
  setting: { key: (setting) => setting.key, unique: {}, indexes: {} },
};

/** Every kind's name, in a fixed order. */
export const kinds: readonly Kind[] = Object.freeze(Object.keys(kindSchemas)) as readonly Kind[];
