import { MemoryProcess, type ProcessEnd, type ProcessOptions, type Program } from "./memory-process.js";

/** The group of processes that nobody looks after. */
const LOST = "lost";

/** A machine's processes and files, which outlive the runtimes over it. A broken runtime may meddle through its hooks. */
export class MemoryMachine {
  /** Path → text; a folder is what a path is in. */
  readonly files = new Map<string, string>();
  /** Changes what a process is started with. */
  onSpawn: (options: ProcessOptions) => ProcessOptions = (options) => options;
  /** Sees a process's end before anybody is told of it. */
  onEnd: (process: MemoryProcess, end: ProcessEnd) => void = () => undefined;
  readonly #processes = new Set<MemoryProcess>();
  readonly #waiting = new Set<() => void>();

  spawn(program: Program, asked: ProcessOptions): MemoryProcess {
    const process = new MemoryProcess(this.onSpawn(asked), (ending, end) => {
      this.onEnd(ending, end);
    });
    this.#processes.add(process);
    void process.ended.then(() => {
      this.#processes.delete(process);
      this.#tell();
    });
    const started = process.hold(() => undefined);
    program(process);
    started();
    return process;
  }

  processesOf(isOf: (group: string) => boolean): readonly MemoryProcess[] {
    return [...this.#processes].filter(({ group, isAlive }) => isAlive && isOf(group));
  }

  kill(group: string, signal: "SIGTERM" | "SIGKILL"): void {
    for (const process of this.processesOf((each) => each === group)) process.signal(signal);
  }

  /** Resolves when the group has no process. */
  async untilNone(group: string): Promise<void> {
    while (this.processesOf((each) => each === group).length > 0)
      await new Promise<void>((resolve) => this.#waiting.add(resolve));
  }

  /** Lets processes run on that nobody will look after any more. */
  lose(processes: readonly MemoryProcess[]): void {
    for (const process of processes) process.group = LOST;
    this.#tell();
  }

  removeFolder(path: string): void {
    for (const file of this.files.keys()) if (file.startsWith(`${path}/`)) this.files.delete(file);
  }

  /** Ends whatever runs. */
  dispose(): void {
    for (const process of this.#processes) process.end(null, "SIGKILL");
  }

  #tell(): void {
    for (const resolve of this.#waiting) resolve();
    this.#waiting.clear();
  }
}
