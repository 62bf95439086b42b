import { createHash } from "node:crypto";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { deflateRawSync } from "node:zlib";
import { runCommand } from "./lib/services/command.mjs";

/**
 * Builds the first process of containers from its source, for each processor, and writes it into the adapter as text.
 * Needs Debian's packages gcc, gcc-aarch64-linux-gnu and linux-libc-dev-arm64-cross on an x86-64 machine.
 */

const SOURCE = "src/adapters/docker/init/init.c";
const TARGET = "src/adapters/docker/init/binaries.ts";
const COMPILERS = { x86_64: "x86_64-linux-gnu-gcc", aarch64: "aarch64-linux-gnu-gcc" };
const OPTIONS = [
  ..."-Os -static -nostdlib -ffreestanding -fno-builtin -fno-stack-protector -fno-pie -no-pie".split(" "),
  ..."-fno-asynchronous-unwind-tables -fomit-frame-pointer -Wall -Wextra -Werror -s".split(" "),
  ..."-Wl,--build-id=none -Wl,-z,noseparate-code -Wl,-z,noexecstack".split(" "),
];

const folder = mkdtempSync(join(tmpdir(), "dinp-init-"));
try {
  const binaries = [];
  for (const [processor, compiler] of Object.entries(COMPILERS)) {
    const output = join(folder, processor);
    await runCommand(compiler, [...OPTIONS, "-o", output, SOURCE]);
    const text = deflateRawSync(readFileSync(output), { level: 9 }).toString("base64");
    const lines = text.match(/.{1,100}/g) ?? [];
    binaries.push(`  ${processor}: [\n${lines.map((line) => `    "${line}",\n`).join("")}  ].join(""),\n`);
  }
  const sha256 = createHash("sha256").update(readFileSync(SOURCE)).digest("hex");
  writeFileSync(
    TARGET,
    [
      "/** What the binaries were made of: the SHA-256 of `init.c`. `npm run docker-init` makes them anew. */",
      `export const sourceSha256 = "${sha256}";`,
      "",
      "/** By processor: the program of `init.c`, deflated (RFC 1951), in base64. */",
      `export const binaries: Readonly<Record<string, string>> = {\n${binaries.join("")}};`,
      "",
    ].join("\n"),
  );
} finally {
  rmSync(folder, { recursive: true, force: true });
}
