import type { Clock, Logger, Random } from "@dinp/core";
import type { PageFiles } from "./page-files.js";

export interface DashOptions {
  /** Port 0 takes a free one. */
  readonly listen: { readonly host: string; readonly port: number };
  /** Where the platform's API answers: http(s) URLs, tried in turn. At least one. */
  readonly servers: readonly string[];
  /** What is served; see `readPageFiles`. */
  readonly files: PageFiles;
  readonly clock: Clock;
  /** Makes the ids of sessions: must be fit for secrets. */
  readonly random: Random;
  readonly logger: Logger;
  /** Authorities to trust in place of the system's, as PEM, for servers of https. */
  readonly ca?: string | undefined;
  /**
   * Where users reach the dashboard, such as `https://dash.example.com`: with https the session's cookie is for TLS alone. Default:
   * by http, at whatever host the request names.
   */
  readonly publicUrl?: string | undefined;
  /** A session ends this long after the sign-in. Default 12 hours. */
  readonly sessionMs?: number | undefined;
  /** Sessions at most; the oldest ends for a newer one. Default 10,000. */
  readonly sessionsMax?: number | undefined;
  /** Connections at most; further ones are closed at once. Default 1,024. */
  readonly connectionsMax?: number | undefined;
  /** Calls of the API at the same time; further ones are refused with `DINP_BUSY`. Default 512. */
  readonly callsMax?: number | undefined;
  readonly timeouts?: Partial<DashTimeouts> | undefined;
  /** Called once for each request when it has ended. Must be quick and not throw. */
  readonly onRequest?: ((record: DashRequestRecord) => void) | undefined;
}

/** Milliseconds each. */
export interface DashTimeouts {
  /** For a connection to a server, TLS included. Default 3 s. */
  readonly connectMs: number;
  /** From a request's last byte to the head of its answer, for what the API answers at once. Default 30 s. */
  readonly answerMs: number;
  /** The same for what it answers when something long is done: builds, and releases of images. Default one hour. */
  readonly longAnswerMs: number;
  /** A client or server that sends nothing, or takes nothing, in the middle of a body for this long is let go. Default 60 s. */
  readonly idleMs: number;
  /** For a request's whole head. Default 15 s. */
  readonly headMs: number;
  /** How long a client may go on sending a body after its request was answered. Default 30 s. */
  readonly restMs: number;
}

/** What there is to say of one request: no address, no query, no name. */
export interface DashRequestRecord {
  /** `page`: the files; `session`: signing in and out; `api`: a call that was passed on. */
  readonly kind: "page" | "session" | "api";
  /** The status sent; null when the client went away before there was one. */
  readonly status: number | null;
  readonly durationMs: number;
}

export const defaultTimeouts: DashTimeouts = {
  connectMs: 3_000,
  answerMs: 30_000,
  longAnswerMs: 3_600_000,
  idleMs: 60_000,
  headMs: 15_000,
  restMs: 30_000,
};
