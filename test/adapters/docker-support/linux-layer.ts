import { readFile } from "node:fs/promises";
import { makeTar, type TestEntry } from "../../build/support.js";

const PROGRAMS =
  "cat chmod chown cp dd echo env find id ln ls mkdir mknod mount nc printf pwd rm sh sleep stat tar touch tr true unshare wget yes";

/** Debian's static busybox as a small Linux, with an account `web` (1000:1001). */
export async function linuxLayer(): Promise<Buffer> {
  const programs = PROGRAMS.split(" ").map((name): TestEntry => ({
    name: `bin/${name}`,
    type: "symlink",
    linkname: "busybox",
  }));
  return makeTar([
    { name: "bin/busybox", mode: 0o755, content: await readFile("/bin/busybox") },
    ...programs,
    { name: "etc/passwd", content: "root:x:0:0::/root:/bin/sh\nweb:x:1000:1001::/:/bin/sh\n" },
    { name: "etc/group", content: "root:x:0:\nweb:x:1001:\nother:x:2000:\n" },
    { name: "tmp/", type: "directory", mode: 0o1777 },
    { name: "srv/link", type: "symlink", linkname: "../data" },
    { name: "data/", type: "directory", mode: 0o755 },
  ]);
}
