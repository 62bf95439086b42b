import { commandFrom, recognizedBy } from "../build/describe-template.js";
import type { Template } from "../build/templates.js";

/** A template as its users see it. */
export interface TemplateView {
  readonly name: string;
  readonly description: string;
  /** What makes an app one of these, in words; null when nothing but its name does. */
  readonly recognizedBy: string | null;
  /** Where its command is found, in words; null when the app must say it. */
  readonly commandFrom: string | null;
  /** The name of the base image. */
  readonly base: string | null;
  /** The name under which an upload that is no tree of files is kept whole; null when it is unpacked. */
  readonly keepAs: string | null;
  /** Null: apps listen on `$PORT`. */
  readonly port: number | null;
  readonly requires: readonly string[];
}

/** In the order in which they are tried. */
export function templateViews(templates: readonly Template[]): readonly TemplateView[] {
  return templates.map((template) => {
    const { name, description, base, keepAs, port, requires } = template;
    return {
      name,
      description,
      recognizedBy: recognizedBy(template),
      commandFrom: commandFrom(template),
      base,
      keepAs,
      port,
      requires,
    };
  });
}
