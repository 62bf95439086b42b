import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import { inflateRawSync } from "node:zlib";
import { expect, it } from "vitest";
import { binaries, sourceSha256 } from "../../src/adapters/docker/init/binaries.js";

/** The numbers of processors in ELF files (`e_machine`). */
const MACHINES: Readonly<Record<string, number>> = { x86_64: 62, aarch64: 183 };

it("the first process of containers is made of the source beside it: else `npm run docker-init`", () => {
  const source = readFileSync(new URL("../../src/adapters/docker/init/init.c", import.meta.url));
  expect(createHash("sha256").update(source).digest("hex")).toBe(sourceSha256);
});

it.each(Object.keys(MACHINES))("the first process for %s is a small static program for it", (processor) => {
  const program = inflateRawSync(Buffer.from(binaries[processor] ?? "", "base64"));
  expect(program.subarray(0, 4).toString("latin1")).toBe("\x7fELF");
  expect(program.readUInt16LE(18)).toBe(MACHINES[processor]);
  expect(program.length).toBeLessThan(8 * 1024);
  // An interpreter would have to be in every image.
  expect(program.includes("ld-linux")).toBe(false);
});
