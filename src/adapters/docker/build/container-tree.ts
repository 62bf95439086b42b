import {
  isDinpError,
  DinpError,
  type Archive,
  type ArchiveEntry,
  type ByteStream,
  type ImageTree,
  type TreeCommand,
} from "@dinp/core";
import type { Engine } from "../engine.js";
import { EngineRefusal, isRefusal } from "../engine-refusal.js";
import { readFrames } from "../frames.js";
import { flagAt, numberAt, textAt } from "../json.js";
import type { Remover } from "../remover.js";
import { assertWithin, tooMuchDisk, watchDisk } from "./disk-watch.js";
import { StepLog } from "./step-log.js";
import { commandBody, restingBody, type WorkDefaults } from "./work-body.js";

const LINKS_MAX = 20;
/** In the mode of a file as Go writes it (io/fs, FileMode). */
const [IS_DIRECTORY, IS_SYMLINK] = [2 ** 31, 2 ** 27];
const READ_BYTES_MAX = 8 * 1024 ** 3;
const READ_ENTRIES_MAX = 1_000_000;
const MB = 1024 * 1024;

/** What all trees of a work share. */
export interface WorkContext {
  readonly engine: Engine;
  readonly remover: Remover;
  readonly archive: Archive;
  readonly defaults: WorkDefaults;
  readonly signal: AbortSignal;
  readonly log: (line: string) => void;
  /** What is used up of the work's bounds. */
  readonly used: { logBytes: number; diskBytes: number };
  /** `REPOSITORY` and a tag that no other tree has. */
  readonly newName: () => { readonly repo: string; readonly tag: string };
}

interface TreeImage {
  readonly id: string;
  readonly volumes: readonly string[];
}

/** A file system as the engine's image: what changes it is a container, whose layer becomes a part of the next image. */
export class ContainerTree implements ImageTree {
  readonly #work: WorkContext;
  readonly #name: { readonly repo: string; readonly tag: string };
  #image: TreeImage;
  /** A container of the image that is never started. */
  #resting: string | null = null;

  constructor(work: WorkContext, image: TreeImage) {
    this.#work = work;
    this.#image = image;
    this.#name = work.newName();
  }

  fork(): Promise<ImageTree> {
    return Promise.resolve(new ContainerTree(this.#work, this.#image));
  }

  async run(command: TreeCommand): Promise<void> {
    const { engine, defaults, signal } = this.#work;
    const id = await this.#create(commandBody(this.#image, command, defaults));
    try {
      await this.#contained(id, command);
      const bytes = await assertWithin(engine, id, this.#bounds, { countsFiles: true, signal });
      this.#work.used.diskBytes += bytes;
      await this.#commit(id);
    } finally {
      await this.#work.remover.remove(id);
    }
  }

  async write(entries: AsyncIterable<ArchiveEntry>): Promise<void> {
    const { engine, archive, signal, defaults } = this.#work;
    const id = await this.#rest();
    try {
      const bytes = archive.write(this.#counted(entries), { signal });
      const query = { path: "/", noOverwriteDirNonDir: "true" };
      await sendArchive(engine, `/containers/${id}/archive`, query, bytes, {
        signal,
        timeoutMs: defaults.limits.timeMs,
      });
      await this.#commit(id);
    } finally {
      await this.#leave();
    }
  }

  async stat(path: string): Promise<{ readonly type: "file" | "directory"; readonly path: string } | null> {
    let at = path;
    for (let links = 0; links < LINKS_MAX; links += 1) {
      const found = await this.#statOnce(at);
      if (found === null) return null;
      const mode = numberAt(found, "mode");
      const isLink = Math.floor(mode / IS_SYMLINK) % 2 === 1;
      if (!isLink) return { type: mode >= IS_DIRECTORY ? "directory" : "file", path: at };
      at = textAt(found, "linkTarget");
    }
    return null;
  }

  async *read(path: string): AsyncGenerator<ArchiveEntry, void, undefined> {
    const { engine, archive, signal } = this.#work;
    const id = await this.#rest();
    const bytes = await engine.stream("GET", `/containers/${id}/archive`, { query: { path }, signal });
    const bounds = { format: "tar", maxBytes: READ_BYTES_MAX, maxEntries: READ_ENTRIES_MAX } as const;
    try {
      yield* archive.read(bytes as AsyncIterable<Uint8Array>, { ...bounds, signal });
    } finally {
      bytes.destroy();
    }
  }

  async *save(): AsyncGenerator<Uint8Array, void, undefined> {
    const { engine, signal } = this.#work;
    const path = `/images/${encodeURIComponent(this.#image.id)}/get`;
    try {
      for await (const chunk of await engine.stream("GET", path, { signal }))
        yield Uint8Array.from(chunk as Uint8Array);
    } catch (error) {
      signal.throwIfAborted();
      throw isDinpError(error) || error instanceof EngineRefusal ? error : engine.lost(error);
    }
    signal.throwIfAborted();
  }

  get #bounds() {
    const { limits } = this.#work.defaults;
    return { bytesMax: limits.diskMb * MB - this.#work.used.diskBytes, filesMax: limits.filesMax };
  }

  /** An engine goes on with what its caller has left: this waits for the id, to remove what it stands for. */
  async #create(body: object): Promise<string> {
    this.#work.signal.throwIfAborted();
    return textAt(await this.#work.engine.ask("POST", "/containers/create", { body }), "Id");
  }

  async #rest(): Promise<string> {
    this.#resting ??= await this.#create(restingBody(this.#image, this.#work.defaults));
    return this.#resting;
  }

  async #leave(): Promise<void> {
    const id = this.#resting;
    this.#resting = null;
    if (id !== null) await this.#work.remover.remove(id);
  }

  async #contained(id: string, command: TreeCommand): Promise<void> {
    const { engine, signal: ends } = this.#work;
    const enough = new AbortController();
    const over = new AbortController();
    const signal = AbortSignal.any([ends, enough.signal]);
    const query = { stream: "1", stdout: "1", stderr: "1" };
    const socket = await engine.hijack(`/containers/${id}/attach`, { query, signal });
    const cut = (): void => {
      socket.destroy();
    };
    signal.addEventListener("abort", cut);
    const watch = {
      signal: AbortSignal.any([signal, over.signal]),
      stop: (why: unknown) => {
        enough.abort(why);
      },
    };
    let watching = Promise.resolve();
    try {
      await engine.ask("POST", `/containers/${id}/start`, { signal });
      watching = watchDisk(engine, id, this.#bounds, watch);
      await this.#follow(socket, signal);
      await this.#assertEndedWell(id, command, signal);
    } catch (error) {
      if (enough.signal.aborted) throw enough.signal.reason;
      throw error instanceof EngineRefusal ? startError(command, error) : error;
    } finally {
      over.abort();
      signal.removeEventListener("abort", cut);
      cut();
      await watching;
    }
  }

  async #follow(socket: AsyncIterable<unknown>, signal: AbortSignal): Promise<void> {
    const { engine, log, used, defaults } = this.#work;
    const { logBytesMax } = defaults.limits;
    const logs = { stdout: new StepLog(log), stderr: new StepLog(log) };
    try {
      for await (const { stream, bytes } of readFrames(socket)) {
        used.logBytes += bytes.length;
        if (used.logBytes > logBytesMax) throw tooMuchLog(logBytesMax);
        logs[stream].push(bytes);
      }
    } catch (error) {
      throw isDinpError(error) || signal.aborted ? error : engine.lost(error);
    } finally {
      logs.stdout.end();
      logs.stderr.end();
    }
    signal.throwIfAborted();
  }

  async #assertEndedWell(id: string, { command }: TreeCommand, signal: AbortSignal): Promise<void> {
    const { engine, defaults } = this.#work;
    const { timeMs: timeoutMs, memoryMb } = defaults.limits;
    const ended = await engine.ask("POST", `/containers/${id}/wait`, { signal, timeoutMs });
    const exitCode = numberAt(ended, "StatusCode");
    if (exitCode === 0) return;
    const state = await engine.ask("GET", `/containers/${id}/json`, { signal });
    if (flagAt(state, "State", "OOMKilled")) {
      throw new DinpError("DINP_TOO_LARGE", `It needed more than ${String(memoryMb)} MiB of memory.`, {
        hint: "Push what it would make, made elsewhere.",
        details: { exitCode },
      });
    }
    const program = (command[0] ?? "").slice(0, 100);
    throw new DinpError("DINP_INVALID", `${program} ended with code ${String(exitCode)}.`, {
      hint: "The build's log says why.",
      details: { exitCode },
    });
  }

  async #commit(id: string): Promise<void> {
    const { engine, signal, defaults } = this.#work;
    const query = { container: id, ...this.#name, pause: "false" };
    const { timeMs: timeoutMs } = defaults.limits;
    // As with containers: what the engine makes of it has a name, by which it is removed.
    const made = await engine.ask("POST", "/commit", { query, timeoutMs });
    signal.throwIfAborted();
    await this.#leave();
    this.#image = { ...this.#image, id: textAt(made, "Id") };
  }

  async *#counted(entries: AsyncIterable<ArchiveEntry>): AsyncGenerator<ArchiveEntry, void, undefined> {
    const { used, signal } = this.#work;
    for await (const entry of entries) {
      signal.throwIfAborted();
      used.diskBytes += entry.size;
      if (this.#bounds.bytesMax < 0) throw tooMuchDisk(this.#work.defaults.limits.diskMb * MB);
      yield entry;
    }
  }

  async #statOnce(path: string): Promise<unknown> {
    const { engine, signal } = this.#work;
    const id = await this.#rest();
    try {
      const headers = await engine.head(`/containers/${id}/archive`, { query: { path }, signal });
      const stat = String(headers["x-docker-container-path-stat"]);
      return JSON.parse(Buffer.from(stat, "base64").toString()) as unknown;
    } catch (error) {
      if (isRefusal(error, 404)) return null;
      throw error;
    }
  }
}

/** An error of the entries themselves is the one to tell; the engine only sees that they end too early. */
async function sendArchive(
  engine: Engine,
  path: string,
  query: Readonly<Record<string, string>>,
  bytes: ByteStream,
  options: { readonly signal: AbortSignal; readonly timeoutMs: number },
): Promise<void> {
  const failures: { readonly error: unknown }[] = [];
  const watched = async function* (): AsyncGenerator<Uint8Array, void, undefined> {
    try {
      yield* bytes;
    } catch (error) {
      failures.push({ error });
      throw error;
    }
  };
  try {
    await engine.ask("PUT", path, { query, archive: watched(), ...options });
  } catch (error) {
    const [own] = failures;
    if (own !== undefined) throw own.error;
    if (!isRefusal(error)) throw error;
    throw new DinpError("DINP_INVALID", `The files cannot be put there: ${error.message.slice(0, 500)}`, {
      hint: "A file cannot take a folder's place, nor a folder a file's.",
      cause: error,
    });
  }
}

function startError({ command, user }: TreeCommand, refusal: EngineRefusal): DinpError {
  const program = (command[0] ?? "").slice(0, 100);
  if (/executable file not found|no such file or directory/i.test(refusal.message)) {
    return new DinpError("DINP_INVALID", `The image has no program ${program}.`, {
      hint: "Begin FROM an image that has it; the shell form needs a /bin/sh.",
      cause: refusal,
    });
  }
  if (/unable to find user|no matching entries in passwd|unable to find group/i.test(refusal.message)) {
    return new DinpError("DINP_INVALID", `The image has no user ${user}.`, {
      hint: "Use numbers, or make the user in a RUN before.",
      cause: refusal,
    });
  }
  if (refusal.status === 400 || /permission denied|not a directory|exec format/i.test(refusal.message)) {
    return new DinpError("DINP_INVALID", `${program} cannot be started: ${refusal.message.slice(0, 500)}`, {
      hint: "See that it is a program for the nodes' kind of machine.",
      cause: refusal,
    });
  }
  return new DinpError("DINP_UNAVAILABLE", `The engine does not run ${program}: ${refusal.message}`, {
    retryable: true,
    cause: refusal,
  });
}

function tooMuchLog(bytesMax: number): DinpError {
  const size = bytesMax < MB ? `${String(bytesMax)} bytes` : `${String(Math.floor(bytesMax / MB))} MiB`;
  return new DinpError("DINP_TOO_LARGE", `The build wrote a log of more than ${size}, and was ended.`, {
    hint: "Have its programs say less.",
  });
}
