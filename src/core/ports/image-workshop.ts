import type { ImageRef } from "../model/records.js";
import type { ArchiveEntry } from "./archive.js";
import type { ByteStream } from "./registry.js";

/** A program that is run in a file system to change it. */
export interface TreeCommand {
  /** The program and its arguments, taken as they are: no shell is between. */
  readonly command: readonly string[];
  readonly env: Readonly<Record<string, string>>;
  /** A user, or `USER:GROUP`, by names of the file system or numbers; empty: root. */
  readonly user: string;
  /** Absolute; made when it is not there. */
  readonly workingDir: string;
}

/** The file system of an image that is being made. Its calls come one after the other. */
export interface ImageTree {
  /**
   * Runs the program; what it writes to both outputs goes to the work's log. `DINP_INVALID` when it ends with a code
   * (`details.exitCode`) or there is no such program or user; `DINP_TOO_LARGE` beyond memory, disk, files or log.
   */
  run(command: TreeCommand): Promise<void>;
  /**
   * Puts entries below the root, with their owners, over what is there; folders that they need and that are not there are
   * made. `DINP_INVALID` when a file is to take a folder's place, or a folder a file's.
   */
  write(entries: AsyncIterable<ArchiveEntry>): Promise<void>;
  /** What a path is, and where it leads when links are followed; null when nothing is there. */
  stat(path: string): Promise<{ readonly type: "file" | "directory"; readonly path: string } | null>;
  /** The file or folder at a path without links, with all below it: paths begin with its own name. */
  read(path: string): AsyncIterable<ArchiveEntry>;
  /** Another one of the same content, which goes its own way from now on. */
  fork(): Promise<ImageTree>;
  /** The image as `docker save` writes it. What is in it besides layers says nothing. */
  save(): ByteStream;
}

/** One image's making. */
export interface ImageWork {
  /** The file system of an image of the platform's registry, or an empty one. */
  start(image: ImageRef | null): Promise<ImageTree>;
}

/**
 * Makes images by running programs of uploads in them, apart from everything else: from other apps, the platform, the machine,
 * and each other.
 */
export interface ImageWorkshop {
  /**
   * Does one image's work; when it resolves or rejects, nothing of it is left: no process, file or container.
   *
   * All of a work is bounded in time, memory, processors, processes, disk, files, network, and what its programs may write to
   * their log. Errors besides those of {@link ImageTree}: `DINP_TIMEOUT`, `DINP_ABORTED`, `DINP_CLOSED`, `DINP_UNAVAILABLE`, the
   * registry's, and what `work` throws.
   */
  during<T>(
    work: (place: ImageWork, signal: AbortSignal) => Promise<T>,
    options: { readonly log: (line: string) => void; readonly signal?: AbortSignal },
  ): Promise<T>;
}
