/**
 * The records of the platform. All are plain JSON values: they are stored and sent as they are.
 * Times are milliseconds since the Unix epoch (`At`), durations milliseconds (`Ms`), sizes say their unit.
 * Each record has one writer; it is named in its docstring.
 */

import type { JsonValue } from "./errors.js";
import type { SecretRef } from "./secrets.js";

export type AppId = string;
export type ReleaseId = string;
export type InstanceId = string;
export type NodeId = string;
export type Revision = number;

/** What a user wants to run. Written by the platform (user operations) only. */
export interface App {
  readonly id: AppId;
  /** A DNS label (RFC 1123), unique over all apps that are not deleted: the app answers at `NAME.<domain>`. */
  readonly name: string;
  readonly teamId: string;
  readonly desired: "running" | "stopped";
  readonly instances: number;
  readonly currentRelease: ReleaseId | null;
  readonly createdAt: number;
  /** Set once, by a committed deletion: the tombstone that alone lets the leader remove what the app owns. */
  readonly deletedAt: number | null;
  /** Absent: nothing. */
  readonly grants?: AppGrants;
}

/**
 * What an app's instances may do beyond the runtime's defaults, by an admin's leave. Plain processes cannot be granted
 * anything.
 */
export interface AppGrants {
  /**
   * `image`: the image's own user, also root. Otherwise `UID`, `UID:GID` or a name in the image. Default: the image's user,
   * or 65532:65532 when that is root or none.
   */
  readonly user?: string;
  /** They can write to their own copies of the image's files. */
  readonly writableRoot?: boolean;
  /** Linux capabilities to keep, such as `NET_BIND_SERVICE`. Default: none. */
  readonly capabilities?: readonly string[];
  /** Programs that are set-user-id gain what they are marked with. */
  readonly newPrivileges?: boolean;
  /** Processes and threads. Default 512. */
  readonly pidsMax?: number;
}

/** An image by content: `repository` names where it is, `digest` what it is (`sha256:<64 hex>`). */
export interface ImageRef {
  readonly repository: string;
  readonly digest: string;
}

/** How readiness is judged. An instance without a ready answer gets no traffic. */
export interface HealthCheck {
  /** `http` sends `GET path`; `tcp` only connects. */
  readonly type: "http" | "tcp";
  readonly path: string;
  /** Inclusive range of status codes that count as success (`http` only). */
  readonly statusMin: number;
  readonly statusMax: number;
  readonly intervalMs: number;
  readonly timeoutMs: number;
  /** Consecutive failures after which a ready instance is taken off its route. */
  readonly failureThreshold: number;
  /** Consecutive successes before an instance gets traffic. */
  readonly successThreshold: number;
  /** An instance that was never ready this long after its start counts as failed. */
  readonly startupMs: number;
}

/** An immutable, numbered version of an app: all that its instances need to start. Written by the platform only. */
export interface Release {
  readonly id: ReleaseId;
  readonly appId: AppId;
  /** 1, 2, 3 … within the app. */
  readonly number: number;
  readonly image: ImageRef;
  readonly template: string;
  /** The argument vector that starts the app in its `/app` folder. The port to listen on is in `PORT`. */
  readonly command: readonly string[];
  /** Programs that the node must have when images bring none of their own (`node`, `python3`). */
  readonly requires: readonly string[];
  /** Set by the user (`dinp env set`): kept from release to release, wins over {@link Release.manifestEnv}. */
  readonly env: Readonly<Record<string, string>>;
  /** From the pushed manifest: replaced by the next push. */
  readonly manifestEnv: Readonly<Record<string, string>>;
  /** Variables whose values are stored sealed, and not here; they win over the others. Absent: none. */
  readonly secrets?: Readonly<Record<string, SecretRef>>;
  readonly memoryMb: number;
  /** Thousandths of one processor. */
  readonly cpuMillis: number;
  readonly check: HealthCheck;
  /** SIGTERM → this long → SIGKILL. */
  readonly stopGraceMs: number;
  /** How long requests in flight may take to end after the route is withdrawn. */
  readonly drainMs: number;
  readonly buildId: string | null;
  readonly createdAt: number;
  readonly createdBy: string;
  /** Why this release exists: `push`, `env set A`, `rollback to 3` … */
  readonly note: string;
}

/**
 * Instance `instanceId` of a release belongs on a node. Written by the leader only; the node's agent runs exactly its
 * placements. `desired` moves forward only: `running → draining → stopped`.
 * `draining`: off the route, still running until the routers let go. `stopped`: SIGTERM now.
 * The record is deleted when the instance has ended *and* every router has acknowledged a table without it: until then
 * its port stays taken.
 */
export interface Placement {
  readonly instanceId: InstanceId;
  readonly appId: AppId;
  readonly releaseId: ReleaseId;
  readonly nodeId: NodeId;
  readonly desired: "running" | "draining" | "stopped";
  /** Why it is here, or why it goes; for people. */
  readonly reason: string;
  readonly createdAt: number;
  /** When `desired` last changed. */
  readonly changedAt: number;
}

/** Where an instance answers. */
export interface Endpoint {
  readonly instanceId: InstanceId;
  readonly host: string;
  readonly port: number;
}

/** Phases of an instance, in order; they never go back. */
export type InstancePhase = "starting" | "running" | "stopping" | "exited";

export type ExitCause =
  /** Ended by itself, with a code or a signal that nobody here sent. */
  | "exited"
  /** Over its memory limit. */
  | "memory"
  /** The image could not be fetched or unpacked. */
  | "image"
  /** The command could not be started (missing program, permission). */
  | "start"
  /** Was never ready within its start-up time; stopped by its agent. */
  | "startup"
  /** Ended because the platform asked for it. */
  | "stopped"
  /** Found ended after the platform was away; how is not known. */
  | "unknown";

export interface InstanceExit {
  readonly at: number;
  readonly cause: ExitCause;
  readonly code: number | null;
  readonly signal: string | null;
  /** One sentence for people. */
  readonly message: string;
  /** The last lines that the app wrote, at most 20 lines of 500 characters. */
  readonly logTail: readonly string[];
}

/** What an agent observed of one instance. Written from the agent's reports only. */
export interface InstanceStatus {
  readonly instanceId: InstanceId;
  readonly appId: AppId;
  readonly releaseId: ReleaseId;
  readonly nodeId: NodeId;
  readonly phase: InstancePhase;
  /** The verdict of the readiness probe; false whenever the phase is not `running`. */
  readonly ready: boolean;
  /** When it was first ready; null while it never was. */
  readonly readyAt: number | null;
  /** Chosen and recorded by the agent before the start; never changes. */
  readonly endpoint: Endpoint | null;
  readonly startedAt: number;
  /** Why it is in this phase or not ready; for people. */
  readonly reason: string;
  readonly exit: InstanceExit | null;
  /** Grows with every report of this instance: an older report never overwrites a newer one. */
  readonly seq: number;
}

/** A machine that runs instances. Written by the leader from the agent's hello; `cordoned` by the platform. */
export interface Node {
  readonly id: NodeId;
  readonly address: string;
  readonly memoryMb: number;
  readonly cpuMillis: number;
  /** What runs the instances: `process`, `docker` … */
  readonly runtime: string;
  /** Well-known interpreters that the node has, or null when images bring their own. */
  readonly programs: readonly string[] | null;
  /** As many instances as its agent has ports for; absent: not known. */
  readonly instancesMax?: number;
  readonly labels: Readonly<Record<string, string>>;
  readonly cordoned: boolean;
  readonly registeredAt: number;
}

/** A host (and path prefix) that leads to an app besides `NAME.<domain>`. Written by the platform only. */
export interface Domain {
  /** Lower case, without port or trailing dot. */
  readonly host: string;
  /** `/` or `/prefix` without a trailing slash. */
  readonly path: string;
  readonly appId: AppId;
  readonly createdAt: number;
}

/** One run of the builder. Written by the platform only. */
export interface Build {
  readonly id: string;
  readonly appName: string;
  readonly state: "running" | "succeeded" | "failed";
  readonly image: ImageRef | null;
  /** The URL that the code was fetched from, without its query; absent when the code was sent. */
  readonly source?: string;
  /** That points to the image; absent without one. */
  readonly tag?: string;
  /** The image that the app was put on; absent without one. */
  readonly base?: { readonly name: string; readonly digest: string };
  readonly template: string;
  readonly command: readonly string[];
  readonly requires: readonly string[];
  /** The app's `dinp.yaml` as it was read from the archive (a JSON value), null without one. */
  readonly manifest: AppManifest | null;
  readonly files: number;
  readonly bytes: number;
  readonly error: string | null;
  readonly createdAt: number;
  readonly endedAt: number | null;
  readonly createdBy: string;
}

/** What the builder said of one build, as it said it: to be made printable where it is shown. Written by the platform only. */
export interface BuildLogRecord {
  readonly buildId: string;
  /** The first lines. */
  readonly head: readonly string[];
  /** How many lines between `head` and `tail` were not kept. */
  readonly dropped: number;
  /** The last lines, when there were more than fit into `head`. */
  readonly tail: readonly string[];
}

/** An image that apps are put on, by the name that templates and apps know it by. Written by the platform only. */
export interface Base {
  readonly name: string;
  readonly image: ImageRef;
  /** What it was made of, for people. */
  readonly source: string;
  readonly layers: number;
  /** Of the layers as they are stored. */
  readonly bytes: number;
  readonly createdAt: number;
  readonly createdBy: string;
}

/** A registry besides the platform's own that images are taken from. Written by the platform only. */
export interface RegistryAccount {
  readonly teamId: string;
  /** `HOST` or `HOST:PORT`, lower case, as it stands in references to images. */
  readonly host: string;
  /** Null: anonymous. */
  readonly username: string | null;
  /** Sealed by the platform's `SecretBox`; null without one. */
  readonly sealedPassword: string | null;
  /** Certificates (PEM) that are trusted besides the well-known authorities, or null. */
  readonly ca: string | null;
  readonly plainHttp: boolean;
  readonly createdAt: number;
  readonly createdBy: string;
}

/** An image that lost a record that named it: it goes from the registry unless another one needs it. Written by the platform only. */
export interface ImageDiscard {
  /** `REPOSITORY@DIGEST`. */
  readonly id: string;
  readonly image: ImageRef;
}

/** The user's `dinp.yaml`, validated; every field may be absent. */
export interface AppManifest {
  readonly app?: string;
  readonly template?: string;
  /** The name of the base image that the app is put on. */
  readonly base?: string;
  readonly command?: string | readonly string[];
  readonly instances?: number;
  readonly memoryMb?: number;
  readonly cpuMillis?: number;
  readonly env?: Readonly<Record<string, string>>;
  readonly check?: Partial<HealthCheck>;
  readonly stopGraceMs?: number;
  readonly drainMs?: number;
  readonly domains?: readonly string[];
}

/** How a release reached (or did not reach) its app's instances; keyed by release. Written by the leader only. */
export interface Rollout {
  readonly releaseId: ReleaseId;
  readonly appId: AppId;
  readonly number: number;
  /** `superseded`: a newer release took its place before it ended. */
  readonly state: "running" | "complete" | "failed" | "superseded";
  readonly startedAt: number;
  readonly endedAt: number | null;
  readonly reason: string;
  /** The last lines of the app's log when it failed. */
  readonly logTail: readonly string[];
}

/** Failures of a release's instances since it last ran well; the source of the crash backoff. Written by the leader only. */
export interface CrashRecord {
  readonly releaseId: ReleaseId;
  readonly appId: AppId;
  /** Consecutive failures. */
  readonly failures: number;
  readonly lastAt: number;
  readonly lastInstanceId: InstanceId;
  readonly lastCause: ExitCause;
  readonly lastReason: string;
  readonly logTail: readonly string[];
}

/**
 * A router whose acknowledgement drains and port reuse wait for, until an operator forgets it. Written by the platform, and by the
 * leader for a router that it hears of without a record; who writes a new one also writes the setting
 * `router-registrations`.
 */
export interface RouterRegistration {
  readonly id: string;
  /** Where it is, for people; may be empty. */
  readonly address: string;
  /** Another one says that it was forgotten in between. */
  readonly registeredAt: number;
}

/** A credential, hashed at rest. Written by the platform only. */
export interface Token {
  readonly id: string;
  /** Hex SHA-256 of the secret (256 random bits, so a plain hash is enough). */
  readonly hash: string;
  readonly subject: string;
  /** `member`: everything but what says that only an admin may. `router`: to register routers, and nothing else. */
  readonly role: "admin" | "member" | "router";
  readonly createdAt: number;
}

/** Lets nodes join until it expires, hashed at rest; deleted when it is revoked. Written by the platform only. */
export interface JoinToken {
  readonly id: string;
  /** Hex SHA-256 of the secret (260 random bits). */
  readonly hash: string;
  readonly createdAt: number;
  readonly createdBy: string;
  readonly expiresAt: number;
}

/**
 * What a node shows to be let in, hashed at rest. Written by the platform only: by the gate that the node comes through, and
 * when it is revoked.
 */
export interface NodeCredential {
  readonly nodeId: NodeId;
  /** Hex SHA-256 of the node's key (256 random bits). */
  readonly keyHash: string;
  /** The key before that, which is taken until then. */
  readonly previous: { readonly keyHash: string; readonly until: number } | null;
  readonly joinedAt: number;
  /** The join token by which it joined. */
  readonly joinTokenId: string;
  /** When the present key was taken first. */
  readonly rotatedAt: number;
  /** Set once: from then on only a join token that was made later lets a node of this id in. */
  readonly revokedAt: number | null;
}

/** An answered write, so that the same idempotency key gives the same answer. Committed together with the write. */
export interface IdempotencyRecord {
  readonly key: string;
  readonly requestHash: string;
  readonly response: JsonValue;
  readonly createdAt: number;
}

/** Audit and explanation, append-only and bounded; `id` sorts by time. */
export interface EventRecord {
  readonly id: string;
  readonly at: number;
  /** `app.created`, `release.created`, `instance.exited`, `rollout.failed`, `plan.refused` … */
  readonly type: string;
  readonly appId: AppId | null;
  readonly appName: string | null;
  readonly instanceId: InstanceId | null;
  readonly nodeId: NodeId | null;
  /** Who: a token's subject, `leader`, `agent` or `monitor/ID`. */
  readonly actor: string;
  readonly message: string;
}

/** A fact about the whole cluster: its id, the runtime chosen at first start. */
export interface Setting {
  readonly key: string;
  readonly value: string;
}
