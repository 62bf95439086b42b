/** Other processes of the cluster, which answer what this one cannot. URLs are without a path. */
export interface HttpApiPeers {
  /** Whether this process leads. Asked for each request, as is the next. */
  readonly leads: () => boolean;
  /** The API of the one that does; null: nobody that is known. */
  readonly leaderUrl: () => string | null;
  /** The API of a process that makes builds. Default: whoever leads. */
  readonly builderUrl?: string;
  /** Certificates (PEM) of the authority that the others' must be of, instead of the well-known ones. */
  readonly ca?: string;
}

/** `anyone`: the store alone answers it. */
export type Answerer = "anyone" | "leader" | "builder";

/** Marks a request that another process has passed on: it is passed on no further. */
export const FORWARDED_FIELD = "dinp-forwarded";

const BUILDS = /^\/v1\/(?:apps\/[^/]+\/(?:url-)?builds|bases\/[^/]+\/archive)$/;
/** What only the process knows that is connected to the nodes. */
const LEADER_READS = /^\/v1\/(?:plan|nodes|routers|apps\/[^/]+\/(?:logs|plan|explain))$/;

/** Who answers a request. `path` is without its query. */
export function answererOf(method: string, path: string): Answerer {
  if (!path.startsWith("/v1/")) return "anyone";
  if (method === "POST" && BUILDS.test(path)) return "builder";
  const isRead = method === "GET" || method === "HEAD" || method === "OPTIONS";
  return isRead && !LEADER_READS.test(path) ? "anyone" : "leader";
}
