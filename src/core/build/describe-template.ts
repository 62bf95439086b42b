import type { CommandSource, Recognition, Template } from "./templates.js";

/** For people: what makes an app one of these; null when nothing but its name does. */
export function recognizedBy(template: Template): string | null {
  const rules = template.recognize.map(ruleText);
  return rules.length === 0 ? null : rules.join("; ");
}

/** For people: where a command is looked for after `dinp.yaml`, `Procfile` and `control`; null when nowhere. */
export function commandFrom(template: Template): string | null {
  const sources = template.command.map(sourceText);
  if (template.build === "dockerfile") sources.push("ENTRYPOINT and CMD of the Dockerfile");
  return sources.length === 0 ? null : sources.join(", ");
}

function ruleText(rule: Recognition): string {
  switch (rule.by) {
    case "upload":
      return `an upload named ${oneOf(rule.names)}`;
    case "program":
      return "an upload that is one program or script";
    case "files": {
      const without = rule.noneOf.length === 0 ? "" : ` (without ${oneOf(rule.noneOf)})`;
      return `${oneOf(rule.anyOf)}${without}`;
    }
  }
}

function sourceText(source: CommandSource): string {
  switch (source.from) {
    case "package-json":
      return source.field === "start" ? "scripts.start in package.json" : "main in package.json";
    case "files":
      return source.files.join(", ");
    case "template":
      return source.run.join(" ");
  }
}

function oneOf(names: readonly string[]): string {
  const last = names.at(-1) ?? "";
  return names.length < 2 ? last : `${names.slice(0, -1).join(", ")} or ${last}`;
}
