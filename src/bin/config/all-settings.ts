import { agentSection } from "./agent-section.js";
import { builderSection } from "./builder-section.js";
import { buildSection, secretsSection, serverSection } from "./server-section.js";
import { hmSection } from "./hm-section.js";
import { dashSection } from "./dash-section.js";
import { clusterSection, registrySection, storeSection } from "./shared-sections.js";
import { logSection, observeSection, routerSection, tableSection } from "./sections.js";
import type { Settings } from "./setting.js";

/** The one configuration of all programs: each takes the sections that it needs, and passes over the others. */
export const allSettings = {
  cluster: clusterSection,
  store: storeSection,
  table: tableSection,
  registry: registrySection,
  build: buildSection,
  secrets: secretsSection,
  server: serverSection,
  builder: builderSection,
  agent: agentSection,
  router: routerSection,
  hm: hmSection,
  dash: dashSection,
  log: logSection,
  observe: observeSection,
} as const satisfies Settings;
