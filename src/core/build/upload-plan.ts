import { DinpError } from "../model/errors.js";
import type { ArchiveFormat } from "../ports/archive.js";
import { matchesPattern } from "./file-pattern.js";
import { templateNamed, type Template } from "./templates.js";

/** What is known of an upload before it is read. */
export interface UploadFacts {
  readonly format: ArchiveFormat;
  /** As its owner calls it; null when nobody said. */
  readonly fileName: string | null;
}

/** How an upload is read. */
export interface UploadPlan {
  /** The template that the upload itself or the push names; null when the files in it decide. */
  readonly template: Template | null;
  /** The upload is one file of the app, under this name; null: it is unpacked. */
  readonly keepAs: string | null;
}

/**
 * What to do with an upload: the template is the one that is `wanted`, else the first that recognizes the upload by its
 * name or as a program. A single program is always kept whole, a zip when its template says so and knows its name (or
 * nobody said the name), a tar never. `DINP_INVALID` for a single program whose template takes a tree.
 */
export function planUpload(templates: readonly Template[], upload: UploadFacts, wanted?: string): UploadPlan {
  const template =
    wanted === undefined
      ? (templates.find((each) => recognizesUpload(each, upload)) ?? null)
      : templateNamed(templates, wanted);
  const keepAs = template?.keepAs ?? null;
  switch (upload.format) {
    case "tar":
    case "tar.gz":
      return { template, keepAs: null };
    case "zip": {
      const isWhole = template !== null && (upload.fileName === null || recognizesUpload(template, upload));
      return { template, keepAs: isWhole ? keepAs : null };
    }
    case "file":
      if (keepAs !== null) return { template, keepAs };
      throw notATree(templates, template);
  }
}

function recognizesUpload(template: Template, { format, fileName }: UploadFacts): boolean {
  return template.recognize.some((rule) => {
    switch (rule.by) {
      case "upload": {
        const name = fileName?.toLowerCase();
        return (
          name !== undefined && rule.names.some((pattern) => matchesPattern(pattern.toLowerCase(), name))
        );
      }
      case "program":
        return format === "file";
      case "files":
        return false;
    }
  });
}

function notATree(templates: readonly Template[], template: Template | null): DinpError {
  const names = templates.filter(({ keepAs }) => keepAs !== null).map(({ name }) => name);
  const what = template === null ? "no template takes one" : `the template ${template.name} takes an archive`;
  return new DinpError("DINP_INVALID", `The upload is a single program, but ${what}.`, {
    hint: `Push the folder that it is in${names.length === 0 ? "" : `, or choose one of these templates: ${names.join(", ")}`}.`,
    details: { field: "template" },
  });
}
