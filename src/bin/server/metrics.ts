import type { FencedPlace, Metrics, Server } from "@dinp/core";

/** Counts the writes of a server that were refused because another one leads; gives what is to be told of each. */
export function countFenced(metrics: Metrics): (place: FencedPlace) => void {
  const fenced = metrics.counter({
    name: "dinp_server_fenced_total",
    help: "Writes that were refused because another server leads (DINP_FENCED), by where",
    labels: ["place"],
  });
  return (place) => {
    fenced.add(1, { place });
  };
}

/** Measures a server. */
export function measureServer(metrics: Metrics, server: Server): void {
  const { follower } = server;
  const { view } = follower;
  metrics.gauge({ name: "dinp_server_leads", help: "1 while this server leads" }, () =>
    server.leads ? 1 : 0,
  );
  metrics.gauge({ name: "dinp_server_state_followed", help: "1 while the state is followed" }, () =>
    follower.fresh ? 1 : 0,
  );
  metrics.gauge(
    { name: "dinp_server_state_revision", help: "Revision of the state that this server knows" },
    () => view.revision,
  );
  const kinds = [
    ["app", "Apps, those included that are being deleted"],
    ["placement", "Instances that are meant to be on a node"],
    ["node", "Nodes that ever joined"],
    ["router", "Routers that are registered"],
  ] as const;
  for (const [kind, help] of kinds) {
    metrics.gauge({ name: `dinp_server_${kind}s`, help }, () => view.count(kind));
  }
  metrics.gauge(
    { name: "dinp_server_nodes_connected", help: "Nodes whose agents are connected to this server" },
    () => {
      let connected = 0;
      for (const { id } of view.all("node")) if (server.nodeLink(id)?.connected === true) connected += 1;
      return connected;
    },
  );
}
