import {
  choice,
  duration,
  flag,
  hostPort,
  listOf,
  optional,
  text,
  textLike,
  url,
  type Settings,
} from "./setting.js";

const id = textLike(/^[a-z0-9][a-z0-9._-]{0,62}$/, "1 to 63 of a-z, 0-9, '.', '_' and '-'", {
  doc: "this server's name among all servers. Default: made at the first start",
});

/** A server's own. */
export const serverSection = {
  listen: hostPort({ doc: "where the HTTP API is; port 0 takes a free one", default: "127.0.0.1:7080" }),
  url: optional(
    url(["http", "https"], {
      doc: "how the other servers reach the API. Default: the address that it listens on",
    }),
  ),
  linkListen: hostPort({ doc: "where agents connect", default: "127.0.0.1:7443" }),
  linkUrl: optional(
    url(["http", "https"], { doc: "how agents reach that. Default: the address that it listens on" }),
  ),
  certFile: optional(
    text({ doc: "a certificate with its chain, as PEM: API and link then speak TLS", form: "FILE" }),
  ),
  keyFile: optional(text({ doc: "its key, as PEM", form: "FILE" })),
  caFile: optional(text({ doc: "the authority of the other servers' certificates, as PEM", form: "FILE" })),
  id: optional(id),
  dataDir: text({ doc: "the folder for what this server keeps: its name, keys, uploads", form: "DIR" }),
  routerUrl: url(["http", "https"], {
    doc: "where apps are reached, as users are told",
    default: "http://127.0.0.1:8080",
  }),
  builderUrl: optional(
    url(["http", "https"], {
      doc: "the dinp-builder that makes builds. Default: the leading server makes them",
    }),
  ),
  newAdminToken: flag({ doc: "whether an admin token is made at this start; all others stop working" }),
  leaseTtl: duration(
    { minMs: 1_000, maxMs: 300_000 },
    { doc: "how long nobody leads at most when the leading server dies", default: "10s" },
  ),
  // Agents are heard of every five seconds: two of their signs of life may come late together.
  lostAfter: duration(
    { minMs: 10_000, maxMs: 86_400_000 },
    { doc: "how long a node may be silent before its instances are replaced elsewhere", default: "30s" },
  ),
} as const satisfies Settings[string];

/** How builds are made, on whichever program makes them. */
export const buildSection = {
  templatesFile: optional(
    text({ doc: "templates that are tried before the platform's own, as YAML", form: "FILE" }),
  ),
  compression: choice(["none", "gzip"], {
    doc: "of the layers of images: none is made faster, gzip is smaller",
    default: "none",
  }),
  allowUploadFrom: listOf(
    text({ doc: "hosts and networks of your own that code may be fetched from by URL", form: "PLACE" }),
  ),
  dockerSocket: optional(
    text({
      doc: "a Docker engine for builds that run something; none is run unless it is given",
      form: "FILE",
    }),
  ),
  network: text({ doc: "the engine's network for what builds run", default: "none" }),
  pipIndex: optional(url(["http", "https"], { doc: "the package index for Python's packages" })),
} as const satisfies Settings[string];

/** How secrets are kept. */
export const secretsSection = {
  keyFile: optional(
    text({
      doc: "the keys that stored secrets are sealed with, the same on all servers. Default: one that is made in the data folder",
      form: "FILE",
    }),
  ),
} as const satisfies Settings[string];
