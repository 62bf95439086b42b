import { hostPort, optional, text, type Settings } from "./setting.js";

/** A builder's own. */
export const builderSection = {
  listen: hostPort({ doc: "where servers send builds; port 0 takes a free one", default: "127.0.0.1:7090" }),
  certFile: optional(
    text({ doc: "a certificate with its chain, as PEM: TLS is then spoken there", form: "FILE" }),
  ),
  keyFile: optional(text({ doc: "its key, as PEM", form: "FILE" })),
  dataDir: text({ doc: "the folder for uploads while they are built", form: "DIR" }),
} as const satisfies Settings[string];
