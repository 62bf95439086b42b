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
  router: routerSection,
  dash: dashSection,
  log: logSection,
  observe: observeSection,
} as const satisfies Settings;
