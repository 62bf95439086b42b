export interface ProcessEnd {
  /** Null when a signal ended it. */
  readonly code: number | null;
  readonly signal: string | null;
}

/** What a process runs; it goes on while something of it holds it. */
export type Program = (process: MemoryProcess) => void;

export interface ProcessOptions {
  /** The instance or command that it belongs to. */
  readonly group: string;
  /** The one that the runtime started, and not another process. */
  readonly isFirst: boolean;
  readonly argv: readonly string[];
  readonly env: Readonly<Record<string, string>>;
  readonly cwd: string;
  readonly stdin: Uint8Array;
  readonly isTerminal: boolean;
  /** Takes its output; resolves when somebody has read it. */
  readonly write: (stream: "stdout" | "stderr", bytes: Uint8Array) => Promise<void>;
  /** What all of the group may use together. */
  readonly memoryBytes: number;
}

/** A process that is simulated in this one: it ends by itself when nothing holds it, or by a signal. */
export class MemoryProcess {
  readonly options: ProcessOptions;
  readonly ended: Promise<ProcessEnd>;
  group: string;
  exitCode = 0;
  /** Memory that it took and keeps. */
  keptBytes = 0;
  #onTerm: (() => void) | null = null;
  #end: ProcessEnd | null = null;
  readonly #holds = new Set<() => void>();
  readonly #beforeEnd: (process: MemoryProcess, end: ProcessEnd) => void;
  #resolve: (end: ProcessEnd) => void = () => undefined;

  constructor(options: ProcessOptions, beforeEnd: (process: MemoryProcess, end: ProcessEnd) => void) {
    this.options = options;
    this.group = options.group;
    this.#beforeEnd = beforeEnd;
    this.ended = new Promise((resolve) => {
      this.#resolve = resolve;
    });
  }

  get isAlive(): boolean {
    return this.#end === null;
  }

  set onTerm(handler: () => void) {
    this.#onTerm = handler;
  }

  /** Keeps the process until the returned function is called; `letGo` is called at its end. */
  hold(letGo: () => void): () => void {
    if (!this.isAlive) {
      letGo();
      return () => undefined;
    }
    this.#holds.add(letGo);
    return () => {
      this.#holds.delete(letGo);
      if (this.#holds.size === 0) this.end(this.exitCode, null);
    };
  }

  signal(name: string): void {
    if (!this.isAlive) return;
    if (name === "SIGTERM" && this.#onTerm !== null) this.#onTerm();
    else this.end(null, name);
  }

  end(code: number | null, signal: string | null): void {
    if (!this.isAlive) return;
    const end = { code, signal };
    this.#beforeEnd(this, end);
    this.#end = end;
    for (const letGo of [...this.#holds]) letGo();
    this.#holds.clear();
    this.#resolve(end);
  }
}
