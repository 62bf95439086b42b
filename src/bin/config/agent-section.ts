import {
  choice,
  flag,
  listOf,
  optional,
  pair,
  portRange,
  text,
  textLike,
  url,
  type Settings,
} from "./setting.js";

/** An agent's own. */
export const agentSection = {
  id: textLike(/^[a-z0-9][a-z0-9._-]{0,62}$/, "1 to 63 of a-z, 0-9, '.', '_' and '-'", {
    doc: "this node's name among all nodes; the same at every start",
  }),
  address: textLike(/^[A-Za-z0-9.:-]{1,253}$/, "an IP address or a host's name", {
    doc: "where routers reach this machine's instances: an address of this machine",
    form: "ADDRESS",
  }),
  servers: listOf(url(["http", "https"], { doc: "where servers take agents: each one's server.linkUrl" })),
  joinToken: optional(
    text({
      doc: "lets this machine join (dinp nodes join-token); not needed again afterwards",
      secret: true,
    }),
  ),
  caFile: optional(
    text({
      doc: "the authority of the servers' certificates, as PEM. Default: the well-known ones",
      form: "FILE",
    }),
  ),
  plaintext: flag({ doc: "whether servers are spoken to by http://, where the node's key can be read" }),
  dataDir: text({ doc: "the folder for what this node keeps", form: "DIR" }),
  runtime: choice(["docker", "process"], {
    doc: "what instances are: containers of a Docker engine, or plain processes. Never changes after the first start",
    default: "docker",
  }),
  dockerSocket: text({ doc: "the Docker engine's socket", form: "FILE", default: "/var/run/docker.sock" }),
  images: choice(["load", "pull"], {
    doc: "how images come to the engine: the agent loads them, or the engine pulls them from registry.url itself",
    default: "load",
  }),
  ports: portRange({ doc: "ports of this machine for instances", default: "20000-29999" }),
  labels: listOf(pair({ doc: "what is special about this node" })),
} as const satisfies Settings[string];
