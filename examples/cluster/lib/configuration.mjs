import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { stringify } from "yaml";
import { backingUrls, certificatesOf } from "./backing-services.mjs";
import { configPath, programsOfKind } from "./programs.mjs";

/** Writes the one configuration that all programs read; each takes its sections of it. @param {import("./plan.mjs").Plan} plan */
export function writeConfiguration(plan) {
  const urls = backingUrls(plan);
  const { ca, certificate, key } = certificatesOf(plan);
  const servers = programsOfKind(plan, "dinp-server");
  const [builder] = programsOfKind(plan, "dinp-builder");
  const [router] = programsOfKind(plan, "dinp-router");
  const config = {
    cluster: { id: `example-${plan.id}`, appsDomain: "apps.localhost" },
    store: { url: urls.database },
    table: { url: urls.redis },
    registry: { url: urls.registry, caFile: ca },
    secrets: { keyFile: join(plan.folder, "secrets.key") },
    server: {
      ...{ certFile: certificate, keyFile: key, caFile: ca },
      builderUrl: `https://${builder?.address ?? ""}:7090`,
      routerUrl: `http://${router?.address ?? ""}:8080`,
    },
    builder: { certFile: certificate, keyFile: key },
    router: { servers: servers.map(({ address }) => `https://${address}:7080`), caFile: ca },
    dash: { servers: servers.map(({ address }) => `https://${address}:7080`), caFile: ca },
    agent: { servers: servers.map(({ address }) => `https://${address}:7443`), caFile: ca },
  };
  writeFileSync(configPath(plan), stringify(config), { mode: 0o600 });
}
