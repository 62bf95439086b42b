export { createDash, type Dash } from "./dash.js";
export type { DashOptions, DashRequestRecord, DashTimeouts } from "./options.js";
export { readPageFiles, type PageFile, type PageFiles } from "./page-files.js";
