import { duration, flag, integer, optional, text, textLike, url, type Settings } from "./setting.js";

/** What all programs of one cluster must agree on. */
export const clusterSection = {
  id: textLike(/^[a-z0-9][a-z0-9._-]{0,62}$/, "1 to 63 of a-z, 0-9, '.', '_' and '-'", {
    doc: "the cluster's name: in Redis, on containers, in front of everything that several clusters may share",
    default: "dinp",
  }),
  appsDomain: textLike(
    /^[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?(?:\.[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?)*$/,
    "a domain in lower case, such as apps.example.com",
    { doc: "apps answer at NAME.<appsDomain>", default: "apps.localhost" },
  ),
} as const satisfies Settings[string];

/** The database that holds the platform's state. */
export const storeSection = {
  url: url(["postgres", "postgresql", "mysql", "mariadb"], {
    doc: "the database, such as postgres://dinp:PASSWORD@HOST:5432/dinp; mysql:// for MySQL and MariaDB",
    secret: true,
  }),
  listenUrl: optional(
    url(["postgres", "postgresql"], {
      doc: "PostgreSQL itself, where store.url leads to a pooler of transactions",
      secret: true,
    }),
  ),
  tls: flag({ doc: "whether TLS is demanded of the database and its certificate checked" }),
  caFile: optional(
    text({ doc: "an authority to trust for that besides the well-known ones, as PEM", form: "FILE" }),
  ),
  connectionsMax: integer({ min: 2, max: 1_000 }, { doc: "connections at most", default: "10" }),
  poll: duration(
    { minMs: 20, maxMs: 60_000 },
    { doc: "how often commits of others are asked for that no notification told of", default: "250ms" },
  ),
} as const satisfies Settings[string];

/** Where images are. */
export const registrySection = {
  url: url(["http", "https"], {
    doc: "an OCI registry, such as https://registry.example.com, or https://ghcr.io/my-team",
  }),
  username: optional(text({ doc: "who asks there; nobody in particular unless it is given" })),
  password: optional(text({ doc: "its password or access token", secret: true })),
  caFile: optional(text({ doc: "an authority to trust besides the well-known ones, as PEM", form: "FILE" })),
  plainHttp: flag({ doc: "whether http:// may be spoken, where all can be read and changed on its way" }),
} as const satisfies Settings[string];
