import { dashProgram } from "./dash/program.js";
import { logSection, observeSection } from "./config/sections.js";
import type { Settings } from "./config/setting.js";
import { createAgentProgram } from "./agent/program.js";
import { builderProgram } from "./builder/program.js";
import { hmProgram } from "./hm/program.js";
import { routerProgram } from "./router/program.js";
import { serverProgram } from "./server/program.js";

/** A program as its users see it. */
export interface ProgramFace {
  readonly ownSection: string;
  readonly settings: Settings;
}

/** The programs that are configured alike, by name. */
export const programs: Readonly<Record<string, ProgramFace>> = Object.fromEntries(
  [
    serverProgram,
    createAgentProgram(""),
    routerProgram,
    builderProgram,
    hmProgram,
    dashProgram(import.meta.url),
  ].map(({ name, ownSection, settings }) => [
    name,
    { ownSection, settings: { ...settings, log: logSection, observe: observeSection } },
  ]),
);
