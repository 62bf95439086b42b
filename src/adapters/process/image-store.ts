import { randomBytes } from "node:crypto";
import { lstat, mkdir, readdir, readFile, rename, rm } from "node:fs/promises";
import { join } from "node:path";
import { DinpError, isDinpError, messageOf, type ImageRef } from "@dinp/core";
import { makeFolder, writeDurably } from "./durable-files.js";
import { orAborted, throwIfAborted } from "../runtime/aborting.js";

/**
 * Puts an image's files into `targetDir`, an empty folder: the app's below `targetDir/app`, directories 0755, files 0644 or 0755.
 * `DINP_IMAGE_NOT_FOUND`, `DINP_DIGEST_MISMATCH`, `DINP_ARCHIVE_REFUSED`, `DINP_UNAVAILABLE`, `DINP_ABORTED`.
 */
export type UnpackImage = (image: ImageRef, targetDir: string, signal: AbortSignal) => Promise<void>;

/** An unpack that several callers wait for; it is given up when none is left. */
interface Unpacking {
  readonly done: Promise<void>;
  readonly cancel: AbortController;
  waiting: number;
}

const DIGEST = /^sha256:[0-9a-f]{64}$/;
const FOLDER = /^sha256-[0-9a-f]{64}$/;
/** Present in the folder of an image that is whole. */
const COMPLETE = ".complete";

/** Unpacked images by digest, shared by the instances of a node. */
export class ImageStore {
  readonly #dir: string;
  readonly #unpack: UnpackImage;
  readonly #bootId: string;
  readonly #unpacking = new Map<string, Unpacking>();
  /** Found whole since this store was opened. */
  readonly #ready = new Set<string>();

  constructor(dir: string, unpack: UnpackImage, bootId: string) {
    this.#dir = dir;
    this.#unpack = unpack;
    this.#bootId = bootId;
  }

  /** Removes what an interrupted unpack or prune left behind. */
  async open(): Promise<void> {
    for (const name of await readdir(this.#dir))
      if (!FOLDER.test(name)) await rm(join(this.#dir, name), { recursive: true, force: true });
  }

  /** The folder that the instances of the image run in. */
  appDir(image: ImageRef): string {
    return join(this.#dir, folderOf(image), "app");
  }

  /** True when the image can be used now. */
  async has(image: ImageRef): Promise<boolean> {
    const folder = folderOf(image);
    const dir = join(this.#dir, folder);
    if (this.#ready.has(folder)) {
      if (await isDirectory(join(dir, "app"))) return true;
      this.#ready.delete(folder);
    }
    if (!(await this.#isWhole(dir))) return false;
    this.#ready.add(folder);
    return true;
  }

  async prepare(image: ImageRef, signal: AbortSignal | undefined): Promise<void> {
    const folder = folderOf(image);
    for (;;) {
      throwIfAborted(signal);
      if ((await this.has(image)) || this.#ready.has(folder)) return;
      const shared = this.#unpacking.get(folder) ?? this.#begin(folder, image);
      if (!shared.cancel.signal.aborted) return this.#wait(shared, signal);
      // Its last caller has just given it up: begin anew when it has let go.
      await shared.done.catch(() => undefined);
    }
  }

  #begin(folder: string, image: ImageRef): Unpacking {
    const cancel = new AbortController();
    const done = this.#unpackInto(folder, image, cancel.signal).finally(() => {
      this.#unpacking.delete(folder);
    });
    const begun = { done, cancel, waiting: 0 };
    this.#unpacking.set(folder, begun);
    return begun;
  }

  async #wait(shared: Unpacking, signal: AbortSignal | undefined): Promise<void> {
    shared.waiting += 1;
    try {
      await orAborted(shared.done, signal);
    } finally {
      shared.waiting -= 1;
      if (shared.waiting === 0) shared.cancel.abort();
    }
  }

  async prune(keep: readonly ImageRef[]): Promise<void> {
    const kept = new Set(keep.map(folderOf));
    for (const name of await readdir(this.#dir)) {
      if (!FOLDER.test(name) || kept.has(name) || this.#unpacking.has(name)) continue;
      this.#ready.delete(name);
      // Under another name first: what is half removed must never look whole.
      const doomed = join(this.#dir, `${name}.removed-${randomBytes(6).toString("hex")}`);
      await rename(join(this.#dir, name), doomed);
      await rm(doomed, { recursive: true, force: true });
    }
  }

  /** Gives up what is being unpacked and waits until nothing writes any more. */
  async close(): Promise<void> {
    const all = [...this.#unpacking.values()];
    for (const { cancel } of all) cancel.abort();
    await Promise.allSettled(all.map(({ done }) => done));
  }

  async #unpackInto(folder: string, image: ImageRef, signal: AbortSignal): Promise<void> {
    const target = join(this.#dir, folder);
    const temporary = `${target}.tmp-${randomBytes(6).toString("hex")}`;
    try {
      await mkdir(temporary, { mode: 0o700 });
      await this.#unpack(image, temporary, signal);
      throwIfAborted(signal);
      await makeFolder(join(temporary, "app"), 0o755);
      await writeDurably(join(temporary, COMPLETE), {
        bootId: this.#bootId,
        ...(await measure(join(temporary, "app"))),
      });
      await makeFolder(temporary, 0o755);
      await rm(target, { recursive: true, force: true });
      await rename(temporary, target);
      this.#ready.add(folder);
    } catch (error) {
      await rm(temporary, { recursive: true, force: true }).catch(() => undefined);
      if (isDinpError(error)) throw error;
      throw new DinpError("DINP_UNAVAILABLE", `Cannot unpack image ${image.digest}: ${messageOf(error)}`, {
        retryable: true,
        cause: error,
        hint: `Check the free space and the permissions of ${this.#dir}.`,
      });
    }
  }

  /**
   * Files are not synced one by one, so after a crash of the machine a folder may be there with some of its files cut short:
   * what was unpacked during another boot is measured again.
   */
  async #isWhole(dir: string): Promise<boolean> {
    const marker = await readMarker(join(dir, COMPLETE));
    if (marker === null || !(await isDirectory(join(dir, "app")))) return false;
    if (marker.bootId === this.#bootId) return true;
    const now = await measure(join(dir, "app"));
    if (now.files !== marker.files || now.bytes !== marker.bytes) return false;
    await writeDurably(join(dir, COMPLETE), { ...marker, bootId: this.#bootId });
    return true;
  }
}

interface Size {
  readonly files: number;
  readonly bytes: number;
}

async function measure(dir: string): Promise<Size> {
  let files = 0;
  let bytes = 0;
  for (const entry of await readdir(dir, { withFileTypes: true })) {
    const path = join(dir, entry.name);
    if (entry.isDirectory()) {
      const inner = await measure(path);
      files += inner.files;
      bytes += inner.bytes;
    } else {
      files += 1;
      bytes += (await lstat(path)).size;
    }
  }
  return { files, bytes };
}

async function readMarker(file: string): Promise<(Size & { readonly bootId: string }) | null> {
  try {
    const value: unknown = JSON.parse(await readFile(file, "utf8"));
    if (typeof value !== "object" || value === null) return null;
    const { bootId, files, bytes } = { bootId: null, files: null, bytes: null, ...value };
    if (typeof bootId !== "string" || typeof files !== "number" || typeof bytes !== "number") return null;
    return { bootId, files, bytes };
  } catch {
    return null;
  }
}

async function isDirectory(path: string): Promise<boolean> {
  try {
    return (await lstat(path)).isDirectory();
  } catch {
    return false;
  }
}

function folderOf(image: ImageRef): string {
  if (DIGEST.test(image.digest)) return image.digest.replace(":", "-");
  throw new DinpError(
    "DINP_INVALID",
    `${JSON.stringify(image.digest.slice(0, 100))} is not an image digest.`,
    {
      hint: "A digest is 'sha256:' and 64 lower-case hexadecimal digits.",
    },
  );
}
