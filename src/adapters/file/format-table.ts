import type { Route } from "@dinp/core";
import { formatAddress } from "./addresses.js";
import type { FileTable } from "./parse-table.js";

/** The text of a route file: one route a line, as short as it can be said, so that people can edit what was written. */
export function formatTable({ epoch, routes }: FileTable): string {
  const head = epoch === 0 ? "" : `  "epoch": ${String(epoch)},\n`;
  if (routes.length === 0) return `{\n${head}  "routes": []\n}\n`;
  const lines = routes.map((route) => `    ${JSON.stringify(plainRoute(route))}`);
  return `{\n${head}  "routes": [\n${lines.join(",\n")}\n  ]\n}\n`;
}

function plainRoute({ host, path, appId, appName, endpoints, unavailable }: Route): object {
  return {
    host,
    path,
    app: appName,
    ...(appId === appName ? {} : { appId }),
    endpoints: endpoints.map((endpoint) => {
      const address = formatAddress(endpoint);
      return endpoint.instanceId === address ? address : { id: endpoint.instanceId, address };
    }),
    ...(unavailable === "stopped" ? { unavailable } : {}),
  };
}
