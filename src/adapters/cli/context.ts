import type { AllowedUploadPlace } from "@dinp/core";
import { createClient, type Client, type ClientOptions } from "@dinp/core/client";
import { resolveApi, type ResolvedApi } from "./credentials.js";
import { CliError, exitCodes } from "./exit-codes.js";
import type { InputStream } from "./input.js";
import { createNodeExchange } from "./node-exchange.js";
import type { HostPort, PortRange } from "./parse.js";
import { Output, type Environment, type TerminalStream } from "./terminal.js";

/** What `dinp up` was asked for; the composition root carries it out. */
export interface UpOptions {
  /** Where the API listens. */
  readonly api: HostPort;
  /** Where the router listens. */
  readonly router: HostPort;
  /** Ports of 127.0.0.1 for instances. */
  readonly instancePorts: PortRange;
  /** Folder of the store, images and instances, as the user wrote it; null: the default. */
  readonly dataDirectory: string | null;
  /** Apps answer at `NAME.<appsDomain>`. */
  readonly appsDomain: string;
  /** Folder of an app to push when the platform is up; null: none. */
  readonly demoDirectory: string | null;
  /** Replace the admin token by a new one. */
  readonly newToken: boolean;
  /** What instances are; null: as the data folder has it. */
  readonly runtime: RuntimeKind | null;
  /** Path of the Docker engine's socket. */
  readonly dockerSocket: string;
  /** How the layers of newly built images are stored. */
  readonly layerCompression: LayerCompression;
  /** A YAML file of templates besides those of the platform, as the user wrote it; null: none. */
  readonly templatesFile: string | null;
  readonly registry: UpRegistryOptions;
  /** Places that uploads may be fetched from by URL besides the public internet. */
  readonly allowUploadFrom: readonly AllowedUploadPlace[];
  /** Null: builds run nothing. */
  readonly builder: UpBuilderOptions | null;
  readonly logLevel: LogLevel;
}

/** Where `dinp up` runs what apps want installed. */
export interface UpBuilderOptions {
  /** Of the Docker engine; `none` for none. */
  readonly network: string;
  /** Null: pip finds only what the app brings along. */
  readonly pipIndexUrl: string | null;
}

/** Where `dinp up` is to keep its images. */
export interface UpRegistryOptions {
  /** Of a registry, without a slash at its end; null: where they were kept before, at first in the data folder. */
  readonly url: string | null;
  /** Certificates (PEM) that are trusted besides the well-known authorities, as the user wrote it; null: none. */
  readonly caFile: string | null;
  /** Holds `USER:PASSWORD`, as the user wrote it; null: the environment has them, or there are none. */
  readonly credentialsFile: string | null;
  /** Whether `url` is a new address of the registry that had the images before. */
  readonly hasMoved: boolean;
}

export const layerCompressions = ["none", "gzip"] as const;

export type LayerCompression = (typeof layerCompressions)[number];

export const runtimeKinds = ["process", "docker"] as const;

export type RuntimeKind = (typeof runtimeKinds)[number];

export const logLevels = ["debug", "info", "warn", "error", "silent"] as const;

export type LogLevel = (typeof logLevels)[number];

/** A folder as a stream of the bytes of a `.tar` or `.tar.gz`, and what is in it. */
export interface PackedDirectory {
  readonly bytes: AsyncIterable<Uint8Array>;
  readonly files: number;
  /** Bytes of the files' content. */
  readonly totalBytes: number;
}

/** Packs a folder; `onProgress` is called as its content is read, with the bytes of content read so far. */
export type PackDirectory = (
  directory: string,
  options: {
    readonly onProgress: (progress: { readonly bytes: number }) => void;
    readonly signal: AbortSignal;
    /** A folder whose files have at most so many bytes is better sent as it is than compressed; undefined: none is. */
    readonly plainBytesMax: number | undefined;
  },
) => Promise<PackedDirectory>;

/** Where interrupts come from; `process` is one. */
export interface SignalSource {
  on(signal: "SIGINT" | "SIGTERM", listener: () => void): unknown;
  off(signal: "SIGINT" | "SIGTERM", listener: () => void): unknown;
}

/** All that the CLI takes from outside. */
/** A base image made of the programs of the machine that the command runs on; its tar is read once. */
export interface MadeBase {
  readonly tar: AsyncIterable<Uint8Array>;
  readonly files: number;
  /** Bytes of the files' content. */
  readonly bytes: number;
}

export interface MakeBase {
  /** What can be made, such as `node`. */
  readonly names: readonly string[];
  /** `DINP_PROGRAM_MISSING` names the program that the machine lacks. */
  readonly make: (name: string, options: { readonly signal: AbortSignal }) => Promise<MadeBase>;
}

/** Adds a key to a file of keys of secrets; gives the names of its keys, the new one first. */
export type AddSecretKey = (keyFile: string) => Promise<readonly string[]>;

export interface CliOptions {
  /** Carries out `dinp up` until it ends, and gives the exit code; it handles signals itself. Absent: there is no such command. */
  readonly up?: ((options: UpOptions) => Promise<number>) | undefined;
  readonly packDirectory: PackDirectory;
  /** Absent: `dinp bases add` has no `--from-host`. */
  readonly makeBase?: MakeBase | undefined;
  /** Absent: there is no `dinp secrets rotate`. */
  readonly addSecretKey?: AddSecretKey | undefined;
  /** What a text holds, or a promise of that; throws when it is no YAML. */
  readonly parseYaml: (text: string) => unknown;
  readonly stdin: InputStream;
  readonly stdout: TerminalStream;
  readonly stderr: TerminalStream;
  readonly env: Environment;
  /** Folder that relative paths start from. Default: the process's. */
  readonly cwd?: string | undefined;
  /** What `--version` prints. */
  readonly version?: string | undefined;
  /** Milliseconds since the Unix epoch. Default `Date.now`. */
  readonly now?: (() => number) | undefined;
  /** Default `process`. */
  readonly signals?: SignalSource | undefined;
  /** What requests to the API are sent by. Default: Node's own HTTP client, which is loaded sooner than the global `fetch`. */
  readonly fetch?: typeof globalThis.fetch | undefined;
}

/** Options of every command that talks to an API. */
export interface ConnectionFlags {
  readonly api?: string;
  readonly token?: string;
}

/** What a command runs with: results go to `out`, the account of what happens to `err`. */
export class Context {
  readonly options: CliOptions;
  readonly out: Output;
  readonly err: Output;
  readonly now: () => number;
  readonly cwd: string;
  readonly #exchange = createNodeExchange();
  readonly #interrupt = new AbortController();
  readonly #signals: SignalSource;
  #isListening = false;
  #api: ResolvedApi | null = null;

  constructor(options: CliOptions) {
    this.options = options;
    this.out = new Output(options.stdout, options.env);
    this.err = new Output(options.stderr, options.env);
    this.now = options.now ?? Date.now;
    this.cwd = options.cwd ?? process.cwd();
    this.#signals = options.signals ?? process;
  }

  /** Aborts on Ctrl-C (once a command waits) or when the reader of the output is gone. */
  get signal(): AbortSignal {
    return this.#interrupt.signal;
  }

  /** The API that the command talks to; null before {@link Context.connect}. */
  get api(): ResolvedApi | null {
    return this.#api;
  }

  /** A client of the API that flags, environment and credentials name. Sends nothing yet. */
  async connect(flags: ConnectionFlags): Promise<Client> {
    this.listenForInterrupts();
    const api = await resolveApi(flags, this.options.env);
    return this.clientOf(api);
  }

  /** A client of this API with this token. */
  clientOf(api: ResolvedApi): Client {
    this.#api = api;
    return this.createClient({ url: api.url, token: api.token ?? undefined });
  }

  /** A client whose requests go as those of all others of this run. */
  createClient(options: Pick<ClientOptions, "url" | "token" | "timeoutMs">): Client {
    const { fetch } = this.options;
    return createClient({ ...options, ...(fetch === undefined ? { exchange: this.#exchange } : { fetch }) });
  }

  /** From now on Ctrl-C aborts {@link Context.signal}; a second one ends the process, as without a listener. */
  listenForInterrupts(): void {
    if (this.#isListening) return;
    this.#isListening = true;
    this.#signals.on("SIGINT", this.#onSignal);
    this.#signals.on("SIGTERM", this.#onSignal);
  }

  /** Aborts everything that waits. */
  interrupt(): void {
    this.#interrupt.abort();
  }

  /** For commands that go on until Ctrl-C: it ends them with its exit code and without a word. */
  throwIfInterrupted(): void {
    if (this.signal.aborted) throw new CliError(exitCodes.interrupted, "");
  }

  /** Resolves after `ms`, or at once when the signal (default: the interrupt) aborts. */
  pause(ms: number, signal: AbortSignal = this.signal): Promise<void> {
    return new Promise((resolve) => {
      const end = (): void => {
        clearTimeout(timer);
        signal.removeEventListener("abort", end);
        resolve();
      };
      const timer = setTimeout(end, signal.aborted ? 0 : ms);
      signal.addEventListener("abort", end, { once: true });
    });
  }

  /** Takes the listeners away. */
  dispose(): void {
    this.#signals.off("SIGINT", this.#onSignal);
    this.#signals.off("SIGTERM", this.#onSignal);
    this.#isListening = false;
  }

  readonly #onSignal = (): void => {
    this.dispose();
    this.interrupt();
  };
}
