export { parseYaml, yamlBytesMax } from "./parse-yaml.js";
