import { existsSync } from "node:fs";
import { dirname, join, normalize } from "node:path";
import { placeOf, type Link, type Page } from "./markdown.js";

/** What is wrong with the links of these pages within `root`; addresses on the Web are not asked. */
export function brokenLinks(root: string, pages: readonly Page[]): readonly string[] {
  const byPath = new Map(pages.map((page) => [page.path, page]));
  return pages.flatMap((page) =>
    page.links.flatMap((link) => {
      const why = whyBroken(root, byPath, link);
      return why === null ? [] : [`${placeOf(link)} ${link.target}: ${why}`];
    }),
  );
}

function whyBroken(root: string, pages: ReadonlyMap<string, Page>, { page, target }: Link): string | null {
  if (/^(https?:|mailto:)/.test(target)) return null;
  const [file = "", anchor] = target.split("#", 2);
  const path = file === "" ? page : normalize(join(dirname(page), file));
  if (path.startsWith("..") || file.startsWith("/")) return "leads out of the project";
  if (!existsSync(join(root, path))) return `there is no ${path}`;
  if (anchor === undefined) return null;
  const anchors = pages.get(path)?.anchors;
  if (anchors === undefined) return `${path} is no page with headings`;
  return anchors.has(anchor) ? null : `${path} has no heading of that name`;
}
