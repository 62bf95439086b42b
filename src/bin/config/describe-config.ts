import { namedOf } from "./load-config.js";
import { flagOf, keyOf, variableOf } from "./names.js";
import type { Setting, Settings } from "./setting.js";

/** What `--help` says of a program's configuration. */
export function helpOf(settings: Settings, ownSection: string): string {
  const rows = namedOf(settings).map(({ at, setting }) => ({
    flag: `--${flagOf(at, ownSection)} ${setting.form}`,
    doc: `${setting.doc}${remark(setting)}`,
  }));
  const common = [
    { flag: "--config FILE", doc: "a YAML file with these settings by section (or DINP_CONFIG)" },
    {
      flag: "--check-config",
      doc: "say what is wrong with the configuration, or where each value comes from, and exit",
    },
    { flag: "--version, --help", doc: "" },
  ];
  const lines = [...rows, ...common].map(({ flag, doc }) =>
    flag.length <= WIDTH ? `  ${flag.padEnd(WIDTH)}  ${doc}` : `  ${flag}\n  ${" ".repeat(WIDTH)}  ${doc}`,
  );
  return lines.map((line) => line.trimEnd()).join("\n");
}

const WIDTH = 34;

/** The settings as a table in Markdown, a section each. */
export function markdownOf(settings: Settings): string {
  return Object.entries(settings)
    .map(([section, names]) => {
      const rows = Object.entries(names).map(([name, setting]) => {
        const at = { section, name };
        const value = setting.default === null || setting.default === "" ? "" : `\`${setting.default}\``;
        const must = setting.default === null && !setting.optional ? "required" : value;
        const doc = `${setting.doc}${setting.secret ? " (secret)" : ""}`;
        return `| \`${keyOf(at)}\` | \`${variableOf(at)}\` | \`${setting.form.replaceAll("|", "\\|")}\` | ${must} | ${doc} |`;
      });
      return [
        `### \`${section}\``,
        "",
        "| key | variable | value | default | what it is |",
        "|---|---|---|---|---|",
        ...rows,
      ].join("\n");
    })
    .join("\n\n");
}

function remark(setting: Setting<unknown>): string {
  if (setting.default !== null && setting.default !== "") return ` (default ${setting.default})`;
  return setting.default === null && !setting.optional ? " (required)" : "";
}
