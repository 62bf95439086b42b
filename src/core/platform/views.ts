/**
 * What the platform answers with: plain JSON values, the same in the library, over HTTP and in the client.
 * Times are milliseconds since the Unix epoch.
 */

import type { RouteTableVersion } from "../ports/route-table.js";
import type { AppManifest, EventRecord, InstancePhase, Node, Token } from "../model/records.js";

/** Facts about this platform that anyone may know. */
export interface PlatformInfo {
  readonly version: string;
  readonly clusterId: string;
  /** Apps answer at `NAME.<appsDomain>`. */
  readonly appsDomain: string;
  /** Where the router answers, such as `http://127.0.0.1:8080`. */
  readonly routerUrl: string;
}

/** Whose token it is. */
export interface SessionView {
  readonly subject: string;
  readonly role: Token["role"];
}

/**
 * What an app is doing, in one word. `empty`: no release yet. `degraded`: fewer ready instances than wanted.
 * `deleting`: its deletion is committed, its instances are going.
 */
export type AppState =
  | "running"
  | "deploying"
  | "starting"
  | "degraded"
  | "crashing"
  | "stopped"
  | "stopping"
  | "deleting"
  | "empty";

export interface AppView {
  readonly name: string;
  /** The platform's own address of the app first, then its domains. */
  readonly urls: readonly string[];
  readonly desired: "running" | "stopped";
  readonly instances: number;
  /** Instances that answer now. */
  readonly ready: number;
  readonly state: AppState;
  /** Number of the current release, null before the first. */
  readonly release: number | null;
  readonly digest: string | null;
  readonly memoryMb: number;
  readonly cpuMillis: number;
  readonly createdAt: number;
}

export interface DomainView {
  readonly host: string;
  /** `/` or `/prefix` without a trailing slash. */
  readonly path: string;
}

/** `pending`: placed, and its node has not reported it yet. */
export type InstanceViewPhase = "pending" | InstancePhase;

/** Why an instance that its agent calls ready gets no requests: a health monitor's word. */
export interface WithdrawalView {
  /** The monitor; of several, the one that said so first. */
  readonly by: string;
  readonly since: number;
  /** What the monitor saw. */
  readonly reason: string;
}

export interface InstanceView {
  readonly id: string;
  readonly node: string;
  /** Number of its release. */
  readonly release: number;
  readonly desired: "running" | "draining" | "stopped";
  readonly phase: InstanceViewPhase;
  readonly ready: boolean;
  /** `host:port`, null until the node chose one. */
  readonly endpoint: string | null;
  readonly startedAt: number | null;
  readonly reason: string;
  /** Null unless a health monitor wants it off its routes; at least half of an app's ready instances stay on them. */
  readonly withdrawn: WithdrawalView | null;
}

/** `pending`: the leader has not taken the release up yet. */
export type RolloutViewState = "pending" | "running" | "complete" | "failed" | "superseded";

export interface RolloutInstanceView {
  readonly id: string;
  readonly node: string;
  readonly phase: InstanceViewPhase;
  readonly ready: boolean;
  readonly reason: string;
}

/** How far a release has come. */
export interface RolloutView {
  /** Of its release. */
  readonly number: number;
  readonly state: RolloutViewState;
  readonly reason: string;
  /** The last lines of the app's log when it failed. */
  readonly logTail: readonly string[];
  readonly wanted: number;
  /** Ready instances of this release. */
  readonly ready: number;
  readonly instances: readonly RolloutInstanceView[];
  readonly startedAt: number | null;
  readonly endedAt: number | null;
}

export interface CrashView {
  /** Consecutive failures of the current release's instances. */
  readonly failures: number;
  readonly at: number;
  readonly reason: string;
  readonly logTail: readonly string[];
}

export interface AppDetail extends AppView {
  /** Of what is wanted of the app: changes with every write to it, and is what `ifRevision` compares. */
  readonly revision: number;
  readonly template: string | null;
  readonly command: readonly string[];
  readonly domains: readonly DomainView[];
  readonly instanceList: readonly InstanceView[];
  /** Of the current release. */
  readonly rollout: RolloutView | null;
  readonly lastCrash: CrashView | null;
  /** Until when the next start waits after failures in a row; null when nothing waits. */
  readonly nextStartAt: number | null;
  /** What keeps the app from being as it should, each as one sentence. */
  readonly notices: readonly string[];
}

export interface ReleaseView {
  readonly number: number;
  readonly digest: string;
  readonly template: string;
  readonly command: readonly string[];
  /** Names only: values may be secret. */
  readonly envNames: readonly string[];
  readonly memoryMb: number;
  readonly cpuMillis: number;
  readonly createdAt: number;
  readonly createdBy: string;
  readonly note: string;
  readonly current: boolean;
  readonly rollout: { readonly state: RolloutViewState; readonly reason: string } | null;
}

/** `unchanged`: nothing differed from the current release, so no new one was made. */
export interface ReleaseResult extends ReleaseView {
  readonly unchanged: boolean;
}

/** A variable whose value is a secret, which is never told. */
export interface SecretView {
  readonly version: number;
  /** When this version was set, and by whom; null when that is not known any more. */
  readonly setAt: number | null;
  readonly setBy: string | null;
}

export interface EnvView {
  /** Set by the user; wins over `manifestEnv`. */
  readonly env: Readonly<Record<string, string>>;
  /** From the last push's manifest. */
  readonly manifestEnv: Readonly<Record<string, string>>;
  /** Set by the user; they win over both. */
  readonly secrets: Readonly<Record<string, SecretView>>;
}

/** The keys that stored secrets are sealed with. */
export interface SecretKeysView {
  /** The one that seals first, then the others, then those that are missing. */
  readonly keys: readonly {
    readonly name: string;
    /** `opens`: what it sealed before; with nothing left, it may go. `missing`: what it sealed cannot be opened. */
    readonly state: "seals" | "opens" | "missing";
    /** Stored secrets that are sealed with it. */
    readonly sealed: number;
  }[];
  /** Stored secrets that do not say with which key they are sealed. */
  readonly unnamed: number;
}

export interface BuildView {
  readonly id: string;
  readonly app: string;
  readonly state: "running" | "succeeded" | "failed";
  readonly digest: string | null;
  /** `REPOSITORY@DIGEST`, as a release can be made of it. */
  readonly image: string | null;
  /** The URL that the code was fetched from, without its query; null when the code was sent. */
  readonly source: string | null;
  /** That the build pointed to the image. */
  readonly tag: string | null;
  /** `NAME@DIGEST` of the image that the app was put on, null without one. */
  readonly base: string | null;
  readonly template: string;
  readonly command: readonly string[];
  readonly files: number;
  readonly bytes: number;
  readonly error: string | null;
  readonly createdAt: number;
  readonly endedAt: number | null;
  readonly createdBy: string;
  readonly manifest: AppManifest | null;
}

/** What the builder said of one build. */
export interface BuildLogView {
  /** Printable; none while the build runs. */
  readonly lines: readonly string[];
}

/** A registry that images may be taken from. */
export interface RegistryView {
  readonly host: string;
  /** Null: anonymous. */
  readonly username: string | null;
  /** Whether certificates of its own are trusted there. */
  readonly hasCa: boolean;
  readonly plainHttp: boolean;
  readonly createdAt: number;
  readonly createdBy: string;
}

/** An image that apps can be put on. */
export interface BaseView {
  readonly name: string;
  /** `REPOSITORY@DIGEST`. */
  readonly image: string;
  readonly digest: string;
  /** What it was made of. */
  readonly source: string;
  readonly layers: number;
  /** Of the layers as they are stored. */
  readonly bytes: number;
  readonly createdAt: number;
  readonly createdBy: string;
}

export interface NodeView {
  readonly id: string;
  readonly address: string;
  readonly memoryMb: number;
  readonly cpuMillis: number;
  readonly runtime: string;
  readonly programs: Node["programs"];
  readonly labels: Readonly<Record<string, string>>;
  readonly cordoned: boolean;
  /** Instances placed on it. */
  readonly instances: number;
  readonly reservedMemoryMb: number;
  readonly reservedCpuMillis: number;
  /** Whether its agent is connected to the leading server; null when that is not known. */
  readonly connected: boolean | null;
  /** When the leading server last heard of it; null when it has not, or that is not known. */
  readonly lastSeenAt: number | null;
  /** When it joined, and was revoked; null for a node that needs no key, and one that is not. */
  readonly joinedAt: number | null;
  readonly revokedAt: number | null;
}

/** A join token without its secret. */
export interface JoinTokenView {
  readonly id: string;
  readonly createdAt: number;
  readonly createdBy: string;
  readonly expiresAt: number;
}

/** A join token that was just made: its secret is told this once. */
export interface NewJoinToken extends JoinTokenView {
  readonly secret: string;
}

/** A router that drains and ports wait for. What only the leading server knows is null where nobody says it. */
export interface RouterView {
  readonly id: string;
  /** Where it is, for people; may be empty. */
  readonly address: string;
  /** Another one says that it was forgotten in between. */
  readonly registeredAt: number;
  /** The newest table that all its new requests go by; null also when it has acknowledged none. */
  readonly acknowledged: RouteTableVersion | null;
  /** By how many revisions that is behind the present table; null also when the two cannot be compared. */
  readonly behind: number | null;
  /** Instances that are off its table and still have a request of it in flight. */
  readonly busy: number | null;
  /** Instances that are out of the present table, and whose ports wait for this router's acknowledgement. */
  readonly holdsUp: number | null;
}

/** A token by which routers register, without its secret. */
export interface RouterTokenView {
  readonly id: string;
  readonly createdAt: number;
}

export type EventView = EventRecord;

/** One line that an instance wrote. */
export interface LogLineView {
  readonly instanceId: string;
  readonly text: string;
}

/** An instance, and whose it is. */
export interface NodeInstanceView extends InstanceView {
  readonly app: string;
}

/** A part of a list; `next` is the cursor of the page after it, null on the last one. */
export interface Page<T> {
  readonly items: readonly T[];
  readonly next: string | null;
}
