import { mkdir, mkdtemp, realpath, rm, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { AppTree, isDinpError, rewriteEntry, type EntryHead, type RewrittenEntry } from "@dinp/core";

function head(path: string, extra: Partial<EntryHead> = {}): EntryHead {
  return { path, type: "file", mode: 0o644, size: 0, linkTarget: null, ...extra };
}

function link(path: string, linkTarget: string | null, type: "symlink" | "hardlink" = "symlink"): EntryHead {
  return head(path, { type, linkTarget });
}

/** The path, or why it is refused, without the entry's own name. */
function outcome(entry: EntryHead): string {
  try {
    return rewriteEntry(entry).path;
  } catch (error) {
    if (!isDinpError(error)) throw error;
    return error.message.replace(JSON.stringify(entry.path), "it");
  }
}

describe("rewriteEntry", () => {
  it.each([
    ["./a/b", "a/b"],
    ["a//b/./c", "a/b/c"],
    ["-rf", "-rf"],
    ["$(reboot)", "$(reboot)"],
    ["Straße", "Straße"],
    ["STRASSE", "STRASSE"],
    ["Dockerfile", "Dockerfile"],
    ["...", "..."],
    ["a\\..\\b", "a\\..\\b"],
  ])("%j becomes %j", (path, expected) => {
    expect(rewriteEntry(head(path)).path).toBe(expected);
  });

  it("takes or refuses a path whatever it is written like", () => {
    const name = fc.stringMatching(/^[\w@+.wh-]{1,12}$/);
    const path = fc
      .array(fc.oneof(name, fc.string()), { minLength: 1, maxLength: 6 })
      .map((names) => names.join("/"));
    // Paths of ordinary names are not looked at one by one; a doubled slash makes them be.
    fc.assert(
      fc.property(path, fc.constantFrom("directory" as const, "file" as const), (text, type) => {
        expect(outcome(head(text.replace("/", "//"), { type }))).toEqual(outcome(head(text, { type })));
        expect(outcome(head(`./${text}`, { type }))).toEqual(outcome(head(`.//${text}`, { type })));
      }),
      { numRuns: 2_000 },
    );
  });

  it.each([
    [0o4755, 0o755],
    [0o2644, 0o644],
    [0o7777, 0o755],
    [0o000, 0o644],
    [0o601, 0o755],
    [0o666, 0o644],
  ])("mode %o becomes %o", (mode, expected) => {
    expect(rewriteEntry(head("a", { mode })).mode).toBe(expected);
    expect(rewriteEntry(head("a/", { mode, type: "directory" })).mode).toBe(0o755);
  });

  it.each([
    ["sub/link", "../a"],
    ["sub/link", ".."],
    ["link", "sub/./x"],
    ["node_modules/.bin/tsc", "../typescript/bin/tsc"],
    ["dangling", "nothing"],
  ])("the link %j to %j stays", (path, target) => {
    expect(rewriteEntry(link(path, target))).toMatchObject({ path, type: "symlink", linkTarget: target });
  });

  const refused: readonly (readonly [string, EntryHead])[] = [
    ["../x", head("../x")],
    ["/abs", head("/abs")],
    ["//abs", head("//abs")],
    ["a/../../b", head("a/../../b")],
    ["a/../b", head("a/../b")],
    ["a/..", head("a/..", { type: "directory" })],
    ["NUL", head("a\0b")],
    ["newline", head("a\nb")],
    ["escape", head("\u001b[2J")],
    ["not UTF-8", head("bad-\uFFFD")],
    ["whiteout", head("lib/.wh.important")],
    ["opaque whiteout", head(".wh..wh..opq")],
    ["4,000 deep", head("d/".repeat(4_000) + "f")],
    ["300 deep", head("d/".repeat(300) + "f")],
    ["long name", head("n".repeat(256))],
    ["the root as a file", head("./")],
    ["a file with a folder's name", head("a/", { size: 3 })],
    ["device", head("dev", { type: "other" })],
    ["link to /etc", link("a", "/etc/passwd")],
    ["link to /app", link("a", "/app/x")],
    ["link out", link("a", "../x")],
    ["link out from below", link("a/b/c", "../../../x")],
    ["link that climbs behind a name", link("a/b", "c/../../../x")],
    ["link without target", link("a", "")],
    ["link to nothing", link("a", null)],
    ["link to NUL", link("a", "b\0c")],
    ["the root as a link", link(".", "x")],
    ["hard link out", link("a", "../../etc/passwd", "hardlink")],
    ["hard link to /etc", link("a", "/etc/passwd", "hardlink")],
  ];
  it.each(refused)("refuses %s, naming the entry", (_, entry) => {
    try {
      rewriteEntry(entry);
    } catch (error) {
      if (!isDinpError(error, "DINP_ARCHIVE_REFUSED")) throw error;
      expect(error.message).toContain(JSON.stringify(entry.path.slice(0, 100)).slice(1, -1).slice(0, 50));
      expect(error.details["entry"]).toBe(entry.path.slice(0, 1_000));
      return;
    }
    expect.unreachable("the entry was taken");
  });
});

describe("AppTree", () => {
  const add = (...entries: readonly EntryHead[]): readonly (readonly string[] | null)[] => {
    const tree = new AppTree();
    return entries.map((entry) => tree.add(rewriteEntry(entry)));
  };

  it("names the folders that an archive leaves out, once", () => {
    expect(add(head("a/b/c"), head("a/b/d"), head("a", { type: "directory" }), head("e"))).toEqual([
      ["a", "a/b"],
      [],
      null,
      [],
    ]);
  });

  it("keeps names apart that differ in case or composition only", () => {
    expect(
      add(head("straße"), head("strasse"), head("A"), head("a"), head("\u00e9"), head("e\u0301")),
    ).toHaveLength(6);
  });

  it.each([
    ["twice the same file", [head("a"), head("./a")], /"a".*twice/],
    ["a file over a folder", [head("a/b"), head("a")], /twice \(first as a directory\)/],
    ["a folder over a file", [head("a"), head("a", { type: "directory" })], /twice/],
    ["a link over a folder", [head("a/b"), link("a", "c")], /twice/],
    ["writing through a link", [link("a", "b"), head("a/x")], /"a", where it lies, is a symlink/],
    [
      "writing through a chain",
      [link("a", "b"), link("b", "."), head("b/x")],
      /"b", where it lies, is a symlink/,
    ],
    ["writing below a file", [head("a"), head("a/x/y")], /"a", where it lies, is a file/],
    ["a folder below a link", [link("a", "b"), head("a/x", { type: "directory" })], /symlink/],
    ["a hard link to nothing", [link("a", "b", "hardlink")], /no earlier file/],
    ["a hard link to a symlink", [link("s", "x"), link("a", "s", "hardlink")], /no earlier file/],
    ["a hard link to a folder", [head("d/x"), link("a", "d", "hardlink")], /no earlier file/],
    ["a hard link to a later file", [link("a", "b", "hardlink"), head("b")], /no earlier file/],
    ["a hard link to itself", [link("a", "a", "hardlink")], /no earlier file/],
  ])("refuses %s", (_, entries, message) => {
    expect(() => add(...entries)).toThrow(message);
  });

  it("lets no link lead out of the app, whatever is accepted", { timeout: 120_000 }, async () => {
    const name = fc.constantFrom("a", "b", "c");
    const path = fc.array(name, { minLength: 1, maxLength: 3 }).map((names) => names.join("/"));
    const target = fc.array(fc.constantFrom("a", "b", "c", "..", "."), { minLength: 1, maxLength: 5 });
    const entry = fc.oneof(
      path.map((p) => head(p)),
      path.map((p) => head(p, { type: "directory" })),
      fc.tuple(path, target).map(([p, t]) => link(p, t.join("/"))),
    );
    const dir = await realpath(await mkdtemp(join(tmpdir(), "dinp-links-")));
    let accepted = 0;
    try {
      let round = 0;
      await fc.assert(
        fc.asyncProperty(fc.array(entry, { minLength: 1, maxLength: 12 }), async (entries) => {
          const app = join(dir, String((round += 1)), "deep", "app");
          await mkdir(app, { recursive: true });
          const links = await unpack(app, entries);
          accepted += links.length;
          for (const path of links) {
            const resolved = await realpath(join(app, path)).catch(() => null);
            if (resolved !== null) expect(`${resolved}/`.startsWith(`${app}/`), path).toBe(true);
          }
        }),
        { numRuns: 300 },
      );
    } finally {
      await rm(dir, { recursive: true });
    }
    expect(accepted).toBeGreaterThan(100);
  });
});

/** Puts what the tree takes on disk, and returns its links. */
async function unpack(app: string, entries: readonly EntryHead[]): Promise<readonly string[]> {
  const tree = new AppTree();
  const links: string[] = [];
  for (const entry of entries) {
    let rewritten: RewrittenEntry;
    try {
      rewritten = rewriteEntry(entry);
      if (tree.add(rewritten) === null) continue;
    } catch (error) {
      if (isDinpError(error, "DINP_ARCHIVE_REFUSED")) continue;
      throw error;
    }
    const at = join(app, rewritten.path);
    await mkdir(dirname(at), { recursive: true });
    if (rewritten.type === "directory") await mkdir(at, { recursive: true });
    else if (rewritten.type === "symlink") {
      await symlink(rewritten.linkTarget ?? "", at);
      links.push(rewritten.path);
    } else await writeFile(at, "");
  }
  return links;
}
