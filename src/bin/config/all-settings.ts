import { logSection, observeSection, routerSection, tableSection } from "./sections.js";
import type { Settings } from "./setting.js";

/** The one configuration of all programs: each takes the sections that it needs, and passes over the others. */
export const allSettings = {
  table: tableSection,
  router: routerSection,
  log: logSection,
  observe: observeSection,
} as const satisfies Settings;
