import { Option } from "commander";
import { parsePortRange } from "../parse.js";

const NAME = "--instance-ports";
const STANDARD = "20000-29999";

/** Of `dinp up`, and of `dinp doctor`, which looks at them before. */
export function instancePorts(): Option {
  return new Option(`${NAME} <first-last>`, "ports of this machine for instances")
    .argParser((text) => parsePortRange(text, NAME))
    .default(parsePortRange(STANDARD, NAME), STANDARD);
}
