import {
  choice,
  duration,
  flag,
  hostPort,
  integer,
  listOf,
  optional,
  text,
  textLike,
  url,
  type Settings,
} from "./setting.js";

const id = (doc: string) =>
  optional(
    textLike(/^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$/, "1 to 64 of letters, digits, '.', '_' and '-'", { doc }),
  );

/** The log of every program. */
export const logSection = {
  level: choice(["debug", "info", "warn", "error", "silent"], {
    doc: "the least severe lines that are written to standard error",
    default: "info",
  }),
  format: choice(["auto", "json", "text"], {
    doc: "lines of JSON, or for people; auto: for people on a terminal",
    default: "auto",
  }),
} as const satisfies Settings[string];

/** What every program tells of itself over HTTP. */
export const observeSection = {
  listen: optional(
    hostPort({ doc: "where /healthz, /readyz and /metrics are answered; nowhere unless it is given" }),
  ),
} as const satisfies Settings[string];

/** The Redis that holds the route table: one server, one behind Sentinel, or a Redis Cluster. */
export const tableSection = {
  url: optional(
    url(["redis", "rediss"], {
      doc: "one Redis server, such as redis://:PASSWORD@HOST:6379/0",
      secret: true,
    }),
  ),
  sentinels: listOf(hostPort({ doc: "the sentinels that know which server is the primary" })),
  primary: text({ doc: "the name by which the sentinels know it", default: "mymaster" }),
  nodes: listOf(hostPort({ doc: "some nodes of a Redis Cluster" })),
  username: optional(text({ doc: "the user, behind Sentinel and in a Redis Cluster" })),
  password: optional(text({ doc: "its password", secret: true })),
  tls: flag({ doc: "whether sentinels and nodes are spoken to by TLS" }),
  caFile: optional(text({ doc: "authorities to trust in place of the system's, as PEM", form: "FILE" })),
} as const satisfies Settings[string];

/** A router's own. */
export const routerSection = {
  routes: optional(text({ doc: "a file of routes to serve, in place of a table", form: "FILE" })),
  listen: hostPort({ doc: "where requests are taken; port 0 takes a free one", default: "127.0.0.1:8080" }),
  id: id("this router's name among all routers; the same at every start. Default: made at the first start"),
  dataDir: optional(
    text({ doc: "the folder for its name and its last good table; needed with a table", form: "DIR" }),
  ),
  servers: listOf(
    url(["http", "https"], {
      doc: "where servers take registrations: each one's server.url; needed with a table",
    }),
  ),
  token: optional(text({ doc: "lets this router register (dinp routers token)", secret: true })),
  caFile: optional(
    text({
      doc: "the authority of the servers' certificates, as PEM. Default: the well-known ones",
      form: "FILE",
    }),
  ),
  plaintext: flag({ doc: "whether servers are spoken to by http://, where the token can be read" }),
  registered: flag({
    doc: "in place of router.servers: an operator has registered this router (dinp routers add), and sees to it that it stays so",
  }),
  trustRegistration: duration(
    { minMs: 0, maxMs: 30 * 86_400_000 },
    {
      doc: "for how long its registration counts at a start while no server answers",
      default: "24h",
    },
  ),
  drain: duration(
    { minMs: 0, maxMs: 3_600_000 },
    { doc: "how long requests in flight may take at the end", default: "10s" },
  ),
  drainDelay: duration(
    { minMs: 0, maxMs: 600_000 },
    {
      doc: "how long it goes on taking requests after /healthz says that it ends: what a load balancer needs to see it",
      default: "0s",
    },
  ),
  trustedProxies: listOf(
    text({ doc: "addresses or networks whose X-Forwarded-* fields are believed", form: "CIDR" }),
  ),
  connectionsMax: integer({ min: 1, max: 1_000_000 }, { doc: "connections at most", default: "10000" }),
} as const satisfies Settings[string];
