import { detectFormat, formatHeadBytes, unknownFormat } from "../build/upload-format.js";
import { planUpload } from "../build/upload-plan.js";
import type { Template } from "../build/templates.js";
import type { JsonValue } from "../model/errors.js";
import type { Archive, ArchiveEntry, ArchiveFormat } from "../ports/archive.js";
import type { ByteSource, ByteStream } from "../ports/registry.js";
import type { Spool } from "../ports/spool.js";
import type { Clock } from "../ports/system.js";
import { AppLayer } from "./app-layer.js";
import { boundedStream } from "./bounded-stream.js";
import { peekStream } from "./peek-stream.js";
import { RewindableStream } from "./rewindable-stream.js";

/** What an upload was taken for. */
export interface UploadedAs {
  readonly format: ArchiveFormat;
  /** The template that the upload itself names, before its files are looked at. */
  readonly template: Template | null;
}

/** An upload, and what its sender says of it. */
export interface AppUploadRequest {
  readonly bytes: ByteSource;
  readonly format?: ArchiveFormat | undefined;
  readonly fileName?: string | undefined;
  readonly template?: string;
}

export interface AppUploadParts {
  readonly archive: Archive;
  readonly clock: Clock;
  readonly parseYaml: (text: string) => JsonValue | Promise<JsonValue>;
  readonly templates: readonly Template[];
  readonly limits: {
    readonly uploadBytesMax: number;
    readonly imageBytesMax: number;
    readonly imageFilesMax: number;
    readonly idleMs: number;
  };
  /** Lets an upload that comes once be read again. */
  readonly spool?: Spool;
  /** Called when an upload was read whole: what it holds is known before all of it is stored. */
  readonly onComplete?: (app: AppLayer, uploaded: UploadedAs) => void;
}

/** One app's upload as the entries of its layer, from the beginning as often as the layer has to be written. */
export class AppUpload {
  readonly uploaded: UploadedAs;
  readonly #parts: AppUploadParts;
  readonly #bytes: UploadBytes;
  /** One file that is kept whole, by this name; null: an archive. */
  readonly #keepAs: string | null;
  readonly #signal: AbortSignal;
  /** The first reading, whose beginning was looked at. */
  #first: ByteStream | null;
  #app: AppLayer;
  #reading = new AbortController();

  /** Looks at the upload's beginning, unless its format was said. Errors: those of the upload, and `DINP_ARCHIVE_REFUSED`. */
  static async open(
    request: AppUploadRequest,
    parts: AppUploadParts,
    signal: AbortSignal,
  ): Promise<AppUpload> {
    const bytes = new UploadBytes(request.bytes, parts, signal);
    try {
      const first = await formatOf(bytes.read(), request.format);
      return new AppUpload(request, parts, bytes, first, signal);
    } catch (error) {
      await bytes.close();
      throw error;
    }
  }

  private constructor(
    request: AppUploadRequest,
    parts: AppUploadParts,
    bytes: UploadBytes,
    first: { readonly format: ArchiveFormat; readonly bytes: ByteStream },
    signal: AbortSignal,
  ) {
    const { format } = first;
    const facts = { format, fileName: request.fileName ?? null };
    const { template, keepAs } = planUpload(parts.templates, facts, request.template);
    this.uploaded = { format, template };
    this.#parts = parts;
    this.#bytes = bytes;
    this.#keepAs = keepAs;
    this.#signal = signal;
    this.#first = first.bytes;
    this.#app = this.#newApp();
  }

  /** Whether {@link AppUpload.entries} can be called more than once. */
  get isRepeatable(): boolean {
    return this.#bytes.isRepeatable;
  }

  /** What the latest reading has learned. */
  get app(): AppLayer {
    return this.#app;
  }

  /** The layer's entries, from the beginning; the reading before is ended. */
  entries(): AsyncIterable<ArchiveEntry> {
    this.#reading.abort();
    this.#reading = new AbortController();
    this.#app = this.#newApp();
    const bytes = this.#first ?? this.#bytes.read();
    this.#first = null;
    return this.#app.entries(this.#read(bytes, AbortSignal.any([this.#signal, this.#reading.signal])));
  }

  /** Ends the reading and lets go of the upload. Never rejects. */
  async close(): Promise<void> {
    this.#reading.abort();
    await this.#bytes.close();
  }

  #read(bytes: ByteStream, signal: AbortSignal): AsyncIterable<ArchiveEntry> {
    const { archive, limits } = this.#parts;
    const { format } = this.uploaded;
    const bounds = { maxBytes: limits.imageBytesMax, maxEntries: limits.imageFilesMax, signal };
    if (this.#keepAs === null) return archive.read(bytes, { ...bounds, format });
    return named(archive.read(bytes, { ...bounds, format: "file" }), this.#keepAs, format === "file");
  }

  #newApp(): AppLayer {
    const { parseYaml, templates, limits, onComplete } = this.#parts;
    const app: AppLayer = new AppLayer({
      ...{ parseYaml, templates, entriesMax: limits.imageFilesMax },
      onComplete: () => {
        onComplete?.(app, this.uploaded);
      },
    });
    return app;
  }
}

/** The bytes of an upload within their bounds, again where that can be. */
class UploadBytes {
  readonly #source: ByteSource | RewindableStream;
  readonly #bounded: (bytes: ByteStream) => AsyncGenerator<Uint8Array, void, undefined>;
  #reading: AsyncGenerator<Uint8Array, void, undefined> | null = null;

  constructor(source: ByteSource, { limits, clock, spool }: AppUploadParts, signal: AbortSignal) {
    const bounds = { bytesMax: limits.uploadBytesMax, idleMs: limits.idleMs };
    this.#bounded = (bytes) => boundedStream(bytes, bounds, clock, signal);
    this.#source =
      typeof source === "function" || spool === undefined
        ? source
        : new RewindableStream(this.#bounded(source), spool);
  }

  get isRepeatable(): boolean {
    return typeof this.#source === "function" || this.#source instanceof RewindableStream;
  }

  read(): ByteStream {
    const source = this.#source;
    // Bounded before it is kept: what is read again is neither waited for nor counted a second time.
    if (source instanceof RewindableStream) this.#reading = source.read();
    else this.#reading = this.#bounded(typeof source === "function" ? source() : source);
    return this.#reading;
  }

  async close(): Promise<void> {
    // Not awaited: an upload that hangs would hold the build here.
    void this.#reading?.return().catch(() => undefined);
    if (this.#source instanceof RewindableStream) await this.#source.close();
  }
}

async function formatOf(
  upload: ByteStream,
  said: ArchiveFormat | undefined,
): Promise<{ readonly format: ArchiveFormat; readonly bytes: ByteStream }> {
  if (said !== undefined) return { format: said, bytes: upload };
  const { head, bytes } = await peekStream(upload, formatHeadBytes);
  const format = detectFormat(head);
  if (format === null) throw unknownFormat(head);
  return { format, bytes };
}

/** The one entry of a file that is kept whole. */
async function* named(
  entries: AsyncIterable<ArchiveEntry>,
  path: string,
  isProgram: boolean,
): AsyncGenerator<ArchiveEntry, void, undefined> {
  for await (const entry of entries) yield { ...entry, path, mode: isProgram ? 0o755 : 0o644 };
}
