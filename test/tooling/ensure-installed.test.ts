import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, onTestFinished, test } from "vitest";
import { whyInstall } from "../../scripts/ensure-installed.mjs";

const wanted = {
  "": { optionalDependencies: { driver: "^1.0.0" } },
  "node_modules/a": { version: "1.0.0" },
  "node_modules/a/node_modules/b": { version: "2.0.0" },
  "node_modules/driver": { version: "1.0.0", optional: true },
  "node_modules/for-another-system": { version: "1.0.0", optional: true },
};
const present = {
  "node_modules/a": { version: "1.0.0" },
  "node_modules/a/node_modules/b": { version: "2.0.0" },
  "node_modules/driver": { version: "1.0.0", optional: true },
};

/** A folder with these packages locked and these installed. */
function folder(locked: object | string, installed: object | string | null): string {
  const root = mkdtempSync(join(tmpdir(), "dinp-install-"));
  onTestFinished(() => {
    rmSync(root, { recursive: true });
  });
  const text = (packages: object | string): string =>
    typeof packages === "string" ? packages : JSON.stringify({ packages });
  writeFileSync(join(root, "package-lock.json"), text(locked));
  mkdirSync(join(root, "node_modules"));
  if (installed !== null) writeFileSync(join(root, "node_modules/.package-lock.json"), text(installed));
  return root;
}

test("what is locked and installed needs nothing; packages for other systems may be missing", () => {
  expect(whyInstall(folder(wanted, present))).toBeNull();
});

test.each([
  ["nothing is installed", null, "nothing is installed yet"],
  ["an installation was cut short", '{"packages": {"node_mod', "nothing is installed yet"],
  ["a package is missing", { ...present, "node_modules/a": undefined }, "a is not installed"],
  ["a named driver is missing", { ...present, "node_modules/driver": undefined }, "driver is not installed"],
  [
    "a version differs",
    { ...present, "node_modules/a/node_modules/b": { version: "1.9.0" } },
    "a/node_modules/b is 1.9.0 and package-lock.json says 2.0.0",
  ],
])("installs when %s", (_, installed, reason) => {
  expect(whyInstall(folder(wanted, installed))).toBe(reason);
});
