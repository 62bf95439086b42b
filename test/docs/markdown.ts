import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import GithubSlugger from "github-slugger";
import MarkdownIt from "markdown-it";

/** The folder of the project, or of a package made of it. */
export const projectRoot = fileURLToPath(new URL("../..", import.meta.url));

/** A fenced block. */
export interface CodeBlock {
  readonly page: string;
  /** Of its first line of text, from 1. */
  readonly line: number;
  /** The first word after the fence: `ts`, `sh` … */
  readonly language: string;
  /** The rest of that line: what the block is, where its language does not say. */
  readonly about: string;
  readonly text: string;
}

/** Text in backquotes within a line. */
export interface CodeSpan {
  readonly page: string;
  readonly line: number;
  readonly text: string;
}

export interface Link {
  readonly page: string;
  /** Of the paragraph or table row that it is in. */
  readonly line: number;
  readonly target: string;
}

/** A page of documentation, read. */
export interface Page {
  /** From the root, with `/`. */
  readonly path: string;
  readonly blocks: readonly CodeBlock[];
  readonly spans: readonly CodeSpan[];
  readonly links: readonly Link[];
  /** The lines of its headings, by their anchors as GitHub makes them, in order. */
  readonly anchors: ReadonlyMap<string, number>;
  readonly text: string;
}

/** Every page under a root: the Markdown files at its top, and all below `docs`. */
export function pagesOf(root: string): readonly Page[] {
  const top = readdirSync(root).filter((name) => name.endsWith(".md"));
  const folder = join(root, "docs");
  const below = existsSync(folder) ? readdirSync(folder, { recursive: true, encoding: "utf8" }) : [];
  const inner = below.filter((name) => name.endsWith(".md")).map((name) => `docs/${name}`);
  return [...top, ...inner].sort().map((path) => readPage(path, readFileSync(join(root, path), "utf8")));
}

/** Reads one page. */
export function readPage(path: string, text: string): Page {
  const blocks: CodeBlock[] = [];
  const spans: CodeSpan[] = [];
  const links: Link[] = [];
  const anchors = new Map<string, number>();
  const slugger = new GithubSlugger();
  const tokens = new MarkdownIt({ html: true }).parse(text, {});
  let isHeading = false;
  let rowLine = 0;
  for (const token of tokens) {
    const line = (token.map?.[0] ?? rowLine) + 1;
    if (token.type === "tr_open") rowLine = token.map?.[0] ?? rowLine;
    if (token.type === "heading_open") isHeading = true;
    if (token.type === "fence") {
      const [language = "", ...rest] = token.info.trim().split(/\s+/);
      blocks.push({ page: path, line: line + 1, language, about: rest.join(" "), text: token.content });
    }
    if (token.type !== "inline") continue;
    const inner = token.children ?? [];
    for (const child of inner) {
      if (child.type === "code_inline") spans.push({ page: path, line, text: child.content });
      const target = child.attrGet(child.type === "image" ? "src" : "href");
      if (target !== null) links.push({ page: path, line, target: decodeURI(target) });
    }
    if (isHeading) anchors.set(slugger.slug(inner.map((child) => child.content).join("")), line);
    isHeading = false;
  }
  return { path, blocks, spans, links, anchors, text };
}

/** The blocks between a heading and the next one. */
export function blocksUnder({ anchors, blocks }: Page, anchor: string): readonly CodeBlock[] {
  const from = anchors.get(anchor) ?? Infinity;
  const to = Math.min(...[...anchors.values()].filter((line) => line > from));
  return blocks.filter(({ line }) => line > from && line < to);
}

/** `docs/x.md:12`, to be found in an editor. */
export function placeOf({ page, line }: { readonly page: string; readonly line: number }): string {
  return `${page}:${String(line)}`;
}
