import { mkdir, readdir, stat, statfs } from "node:fs/promises";
import { join } from "node:path";
import { runCommand } from "../../../scripts/lib/services/command.mjs";

const ROOMY_BYTES = 2 ** 30;
/** What uses it may write in between. */
const ATTEMPTS_MAX = 50;

/** A file system in memory, of which a test says how much room is left. Only root can make one. */
export class SmallDisk {
  readonly #path: string;

  private constructor(path: string) {
    this.#path = path;
  }

  static async mount(path: string): Promise<SmallDisk> {
    await mkdir(path, { recursive: true });
    const options = `size=${String(ROOMY_BYTES)},mode=0700,nosuid,nodev`;
    await runCommand("mount", ["-t", "tmpfs", "-o", options, "dinp-test", path]);
    return new SmallDisk(path);
  }

  /** Leaves so many bytes, or a page more. Files that were made ahead of their use have room for all that they are to hold. */
  async leave(bytes: number): Promise<void> {
    await this.#fillHoles();
    for (let attempt = 1; ; attempt += 1) {
      const { blocks, bfree, bsize } = await statfs(this.#path);
      try {
        await this.#resize((blocks - bfree) * bsize + bytes);
        return;
      } catch (error) {
        if (attempt === ATTEMPTS_MAX) throw error;
      }
    }
  }

  /** Makes room again. */
  makeRoom(): Promise<void> {
    return this.#resize(ROOMY_BYTES);
  }

  /** Of whoever uses it, the files stay until they are closed. */
  async unmount(): Promise<void> {
    await runCommand("umount", ["--lazy", this.#path]);
  }

  async #fillHoles(): Promise<void> {
    for (const entry of await readdir(this.#path, { recursive: true, withFileTypes: true })) {
      if (!entry.isFile()) continue;
      const path = join(entry.parentPath, entry.name);
      const { size, blocks } = await stat(path);
      if (blocks * 512 < size) await runCommand("fallocate", ["--length", String(size), path]);
    }
  }

  async #resize(bytes: number): Promise<void> {
    await runCommand("mount", ["-o", `remount,size=${String(bytes)}`, this.#path]);
  }
}
