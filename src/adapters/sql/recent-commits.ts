import type { Revision, WatchEvent } from "@dinp/core";
import { changesOf } from "./change-log.js";

type Commit = Extract<WatchEvent, { readonly type: "commit" }>;

const COMMITS_MAX = 200;
const CHARACTERS_MAX = 4 * 1024 * 1024;

/**
 * The newest commits of the only process that writes, so that its own watches need not ask the database. They follow each other
 * without a hole.
 */
export class RecentCommits {
  #commits: { readonly revision: Revision; readonly text: string; commit: Commit | null }[] = [];
  #characters = 0;
  /** The newest commit that was told of; null while none was. */
  #last: Revision | null = null;
  readonly #commitsMax: number;

  /** @param logCommits How many the log reaches back. */
  constructor(logCommits: number) {
    this.#commitsMax = Math.min(COMMITS_MAX, logCommits);
  }

  /** A commit that is kept, with its changes as the log has them. */
  add(revision: Revision, text: string): void {
    const last = this.#last ?? revision - 1;
    if (revision !== last + 1) this.forget();
    // One that is told late: what the newest commits are is not known.
    if (revision <= last) return;
    this.#last = revision;
    this.#commits.push({ revision, text, commit: null });
    this.#characters += text.length;
    while (this.#commits.length > this.#commitsMax || this.#characters > CHARACTERS_MAX)
      this.#characters -= this.#commits.shift()?.text.length ?? 0;
  }

  /** What the newest commits are is not known. */
  forget(): void {
    this.#commits = [];
    this.#characters = 0;
  }

  /** The commits after a revision, oldest first; null when that is not known here. */
  after(revision: Revision): readonly Commit[] | null {
    const first = this.#commits[0]?.revision;
    const last = this.#commits.at(-1)?.revision;
    if (first === undefined || last === undefined || revision < first - 1 || revision > last) return null;
    return this.#commits.slice(revision - first + 1).map((item) => {
      item.commit ??= { type: "commit", revision: item.revision, changes: changesOf(item.text) };
      return item.commit;
    });
  }
}
