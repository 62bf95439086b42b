import { watch, type FSWatcher } from "node:fs";
import { messageOf } from "@dinp/core";

export interface FolderHintsOptions {
  readonly folder: string;
  /** The file in it. */
  readonly name: string;
  /** For what the kernel does not tell: network folders, a folder that was replaced, a watch that was refused. */
  readonly pollMs: number;
  /**
   * `changed`: the kernel told of the file. `maybe`: of another name (by which a symbolic link may be switched), or it
   * is time to look.
   */
  readonly onHint: (hint: "changed" | "maybe") => void;
  /** The kernel will tell nothing more; polling goes on. */
  readonly onBlind: (reason: string) => void;
}

/** Gives hints until the returned function is called. Keeps no process alive. */
export function startFolderHints({ folder, name, pollMs, onHint, onBlind }: FolderHintsOptions): () => void {
  let watcher: FSWatcher | null = null;
  const blind = (error: unknown): void => {
    watcher?.close();
    watcher = null;
    onBlind(messageOf(error));
  };
  try {
    watcher = watch(folder, { persistent: false }, (_event, changed) => {
      onHint(changed === null || changed === name ? "changed" : "maybe");
    });
    watcher.on("error", blind);
  } catch (error) {
    blind(error);
  }
  const timer = setInterval(() => {
    onHint("maybe");
  }, pollMs);
  timer.unref();
  return () => {
    clearInterval(timer);
    watcher?.close();
  };
}
