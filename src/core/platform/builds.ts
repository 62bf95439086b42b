import { limits } from "../model/defaults.js";
import { DinpError, isDinpError, messageOf } from "../model/errors.js";
import { newTimeId } from "../model/ids.js";
import { assertAppName } from "../model/names.js";
import type { Build } from "../model/records.js";
import type { ArchiveFormat } from "../ports/archive.js";
import type { ByteStream } from "../ports/registry.js";
import { withSignal } from "./app-records.js";
import { buildView } from "./app-views.js";
import { change, isRemembered, toRecord } from "./change.js";
import type { PlatformContext, ReadOptions, WriteOptions } from "./context.js";
import { isKey } from "./releases.js";
import { printable, quoted } from "./text.js";
import { Upload } from "./upload.js";
import type { BuildView } from "./views.js";

/** Built code on its way in. */
export interface BuildRequest {
  readonly bytes: ByteStream;
  /** Default `tar.gz`. */
  readonly format?: ArchiveFormat | undefined;
  readonly template?: string | undefined;
  /** A line for the shell. */
  readonly command?: string | undefined;
}

/** Runs builds, a bounded number at a time. */
export class Builds {
  readonly #context: PlatformContext;
  #running = 0;

  constructor(context: PlatformContext) {
    this.#context = context;
  }

  async get(name: string, id: string, options: ReadOptions): Promise<BuildView> {
    const build = isKey(id) ? await this.#context.store.get("build", id, withSignal(options)) : null;
    if (build?.value.appName === name) return this.#view(build.value);
    throw new DinpError("DINP_NOT_FOUND", `The app ${quoted(name)} has no build ${quoted(id)}.`);
  }

  /**
   * Packs the code into an image and resolves when that is stored. The app need not exist. Errors: the builder's
   * (`DINP_ARCHIVE_REFUSED`, `DINP_NO_COMMAND` …), `DINP_BUSY`, `DINP_TOO_LARGE`, `DINP_TIMEOUT`, `DINP_ABORTED`.
   */
  async create(name: string, request: BuildRequest, options: WriteOptions): Promise<BuildView> {
    assertAppName(name);
    const { hasher, buildsMax } = this.#context;
    if (this.#running >= buildsMax) {
      throw new DinpError("DINP_BUSY", `${String(buildsMax)} builds are running, which is as many as may.`, {
        retryable: true,
        hint: "Try again when one of them has ended.",
      });
    }
    this.#running += 1;
    try {
      const upload = new Upload(request.bytes, hasher, limits.uploadBytesMax);
      if (await isRemembered(this.#context, options))
        return await this.#repeat(name, request, upload, options);
      return await this.#build(name, request, upload, options);
    } finally {
      this.#running -= 1;
    }
  }

  /** The same key again: the answer is the same if the code is. */
  async #repeat(
    name: string,
    request: BuildRequest,
    upload: Upload,
    options: WriteOptions,
  ): Promise<BuildView> {
    const input = inputOf(name, request, await upload.digest());
    return change<BuildView>(this.#context, "build.create", input, options, () => {
      throw new DinpError("DINP_CONFLICT", "The answer to this request was forgotten meanwhile.", {
        retryable: true,
        hint: "Send it again.",
      });
    });
  }

  async #build(
    name: string,
    request: BuildRequest,
    upload: Upload,
    options: WriteOptions,
  ): Promise<BuildView> {
    const { store, clock, random } = this.#context;
    const now = clock.now();
    const started: Build = {
      id: newTimeId(random, now, "build"),
      appName: name,
      state: "running",
      image: null,
      template: printable(request.template ?? "", 64),
      command: [],
      requires: [],
      manifest: null,
      files: 0,
      bytes: 0,
      error: null,
      createdAt: now,
      endedAt: null,
      createdBy: options.caller.subject,
    };
    await store.commit(
      [{ op: "put", kind: "build", value: started, ifRevision: "absent" }],
      withSignal(options),
    );
    try {
      const built = await this.#run(name, request, upload, options, started);
      const input = inputOf(name, request, await upload.digest());
      return await this.#succeed(built, input, options);
    } catch (error) {
      const told = toDinpError(error, options.signal);
      await this.#fail(started, told, options.caller.subject);
      throw told;
    }
  }

  async #run(
    name: string,
    request: BuildRequest,
    upload: Upload,
    options: WriteOptions,
    started: Build,
  ): Promise<Build> {
    const { builder, clock, buildTimeoutMs } = this.#context;
    const over = new AbortController();
    const late = new AbortController();
    const timer = clock.sleep(buildTimeoutMs, { signal: over.signal }).then(
      () => {
        late.abort();
      },
      () => undefined,
    );
    const signals = options.signal === undefined ? [late.signal] : [late.signal, options.signal];
    try {
      const result = await builder.build({
        repository: `apps/${name}`,
        bytes: upload,
        format: request.format ?? "tar.gz",
        ...(request.template === undefined ? {} : { template: request.template }),
        ...(request.command === undefined ? {} : { command: request.command }),
        signal: AbortSignal.any(signals),
      });
      const { image, template, command, requires, manifest, files, bytes } = result;
      return {
        ...started,
        state: "succeeded",
        image,
        template,
        command,
        requires,
        manifest,
        files,
        bytes,
        endedAt: clock.now(),
      };
    } catch (error) {
      if (!late.signal.aborted) throw error;
      const seconds = String(Math.round(buildTimeoutMs / 1000));
      throw new DinpError("DINP_TIMEOUT", `The build took longer than ${seconds} s.`, { cause: error });
    } finally {
      over.abort();
      await timer;
    }
  }

  async #succeed(build: Build, input: object, options: WriteOptions): Promise<BuildView> {
    const result = this.#view(build);
    const image = build.image?.digest.slice(0, 19) ?? "";
    const message = `built ${build.appName}: ${String(build.files)} files, template ${build.template}, image ${image}`;
    // The work is done: whoever asked may be gone, it is written down all the same.
    const rest: WriteOptions = { caller: options.caller, idempotencyKey: options.idempotencyKey };
    const answer = await change(this.#context, "build.create", input, rest, () =>
      Promise.resolve({
        writes: [{ op: "put", kind: "build", value: build }],
        events: [{ type: "build.succeeded", message, app: { id: null, name: build.appName } }],
        result,
      }),
    );
    if (answer.id !== build.id) {
      await this.#context.store.commit([{ op: "delete", kind: "build", key: build.id }]);
    }
    return answer;
  }

  /** Writes the failure down; when even that fails, the build is seen as abandoned later. */
  async #fail(started: Build, error: DinpError, actor: string): Promise<void> {
    const { store, clock, logger } = this.#context;
    const now = clock.now();
    const reason = printable(error.message);
    const failed: Build = { ...started, state: "failed", error: reason, endedAt: now };
    const message = `build of ${started.appName} failed: ${reason}`;
    const event = toRecord(
      this.#context,
      { type: "build.failed", message, app: { id: null, name: started.appName } },
      actor,
      now,
    );
    try {
      await store.commit([
        { op: "put", kind: "build", value: failed },
        { op: "put", kind: "event", value: event, ifRevision: "absent" },
      ]);
    } catch (failure) {
      logger.warn("a build's failure could not be recorded", {
        build: started.id,
        error: messageOf(failure),
      });
    }
  }

  #view(build: Build): BuildView {
    return buildView(build, this.#context.clock.now(), 2 * this.#context.buildTimeoutMs);
  }
}

function inputOf(name: string, request: BuildRequest, sha256: string): object {
  return { name, template: request.template, command: request.command, format: request.format, sha256 };
}

/** Streams fail with whatever their source throws; what leaves here is the platform's own. */
function toDinpError(error: unknown, signal: AbortSignal | undefined): DinpError {
  if (signal?.aborted === true)
    return new DinpError("DINP_ABORTED", "The upload was broken off.", { cause: error });
  if (isDinpError(error)) return error;
  return new DinpError("DINP_INTERNAL", "The build failed for a reason inside the platform.", {
    cause: error,
  });
}
