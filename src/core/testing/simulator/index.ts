export { invariantNames, type InvariantName, type Violation } from "./journal.js";
export {
  simulate,
  type SimulationBackends,
  type SimulationOptions,
  type SimulationReport,
} from "./simulate.js";
