import { DinpError, isDinpError, messageOf } from "../model/errors.js";
import { newTimeId } from "../model/ids.js";
import { assertImageTag, splitRegistryHost } from "../model/image-names.js";
import { assertAppName } from "../model/names.js";
import type { Build, ImageRef } from "../model/records.js";
import type { ArchiveFormat } from "../ports/archive.js";
import type { ByteStream } from "../ports/registry.js";
import { withSignal } from "./app-records.js";
import { buildView } from "./app-views.js";
import { BuildLog } from "./build-log.js";
import { BuildSource } from "./build-source.js";
import { change, isRemembered, toRecord } from "./change.js";
import { fromOwnRegistry } from "./own-registry.js";
import type { PlatformContext, ReadOptions, WriteOptions } from "./context.js";
import { appRepository, discardWrites } from "./discards.js";
import { withImage } from "./located-image.js";
import { printable } from "./text.js";
import type { BuildView } from "./views.js";
import { withinTime } from "./within-time.js";

/** Built code on its way in: its bytes, or the http(s) URL that the platform is to fetch them from. */
export type BuildRequest = BuildSettings &
  (
    | { readonly bytes: ByteStream; readonly url?: undefined }
    | { readonly url: string; readonly bytes?: undefined }
  );

export interface BuildSettings {
  /** Default: by the first bytes. */
  readonly format?: ArchiveFormat | undefined;
  /** What the upload is called, such as `shop.war`: some templates go by it. At most 255 characters. Default: as the URL's path has it. */
  readonly fileName?: string | undefined;
  readonly template?: string | undefined;
  /** A line for the shell. */
  readonly command?: string | undefined;
  /** The name of the base image that the app is put on. */
  readonly base?: string | undefined;
  /** Points to the image afterwards, wherever it pointed before. */
  readonly tag?: string | undefined;
}

/** Runs builds, a bounded number at a time. */
export class Builds {
  readonly #context: PlatformContext;
  #running = 0;

  constructor(context: PlatformContext) {
    this.#context = context;
  }

  /**
   * Packs the code into an image and resolves when that is stored. The app need not exist. Errors: the builder's
   * (`DINP_ARCHIVE_REFUSED`, `DINP_NO_COMMAND` …), of a URL the {@link UploadFetcher}'s, `DINP_BUSY`, `DINP_TOO_LARGE`,
   * `DINP_TIMEOUT`, `DINP_ABORTED`. Those of a build that has begun name it in `details.buildId`: its log says how far it came.
   */
  async create(name: string, request: BuildRequest, options: WriteOptions): Promise<BuildView> {
    assertAppName(name);
    if (request.tag !== undefined) assertImageTag(request.tag);
    const log = new BuildLog();
    const source = new BuildSource(request, this.#context, log, options.signal);
    const { buildsMax } = this.#context;
    if (this.#running >= buildsMax) {
      throw new DinpError("DINP_BUSY", `${String(buildsMax)} builds are running, which is as many as may.`, {
        retryable: true,
        hint: "Try again when one of them has ended.",
      });
    }
    this.#running += 1;
    try {
      if (await isRemembered(this.#context, options))
        return await this.#repeat(name, request, source, options);
      return await this.#context.uses.during(appRepository(name), () =>
        this.#build(name, request, source, log, options),
      );
    } finally {
      this.#running -= 1;
      source.end();
    }
  }

  /** The same key again: the answer is the same if the code is. */
  async #repeat(
    name: string,
    request: BuildRequest,
    source: BuildSource,
    options: WriteOptions,
  ): Promise<BuildView> {
    const input = inputOf(name, request, await source.identity());
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
    source: BuildSource,
    log: BuildLog,
    options: WriteOptions,
  ): Promise<BuildView> {
    const { store, clock, random } = this.#context;
    const now = clock.now();
    const started: Build = {
      id: newTimeId(random, now, "build"),
      appName: name,
      state: "running",
      image: null,
      ...(source.url === null ? {} : { source: source.url }),
      ...(request.tag === undefined ? {} : { tag: request.tag }),
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
    this.#context.imageExpected(null);
    try {
      const built = await this.#run(name, request, source, options, started, log);
      if (built.image !== null) this.#context.imageExpected(built.image);
      const input = inputOf(name, request, await source.identity());
      return await this.#succeed(built, log, input, options);
    } catch (error) {
      const told = toDinpError(error, options.signal);
      await this.#fail(started, log, told, options.caller.subject);
      throw withBuildId(told, started.id);
    }
  }

  async #run(
    name: string,
    request: BuildRequest,
    source: BuildSource,
    options: WriteOptions,
    started: Build,
    log: BuildLog,
  ): Promise<Build> {
    const { builder, clock, buildTimeoutMs: ms } = this.#context;
    const limit = { clock, ms, what: "The build", signal: options.signal };
    const brought: ImageRef[] = [];
    const build = withinTime(limit, (signal) =>
      builder.build({
        repository: appRepository(name),
        bytes: source.bytes,
        format: request.format,
        fileName: source.fileName,
        ...(request.template === undefined ? {} : { template: request.template }),
        ...(request.command === undefined ? {} : { command: request.command }),
        ...(request.base === undefined ? {} : { base: request.base }),
        ...(request.tag === undefined ? {} : { tag: request.tag }),
        findImage: (reference, bounded) => this.#findImage(name, reference, brought, bounded),
        log: (line) => {
          log.add(line);
        },
        signal,
      }),
    );
    const result = await build.finally(() => this.#discard(brought));
    const { image, template, base, command, requires, manifest, files, bytes } = result;
    return {
      ...started,
      state: "succeeded",
      image,
      template,
      ...(base === null ? {} : { base }),
      command,
      requires,
      manifest,
      files,
      bytes,
      endedAt: clock.now(),
    };
  }

  /** The image that a Dockerfile names: one of the platform's registry, or of another one, brought into the app's repository. */
  async #findImage(
    name: string,
    reference: string,
    brought: ImageRef[],
    options: ReadOptions,
  ): Promise<ImageRef> {
    if (splitRegistryHost(reference).host === null) return this.#context.images.find(reference, options);
    return withImage(this.#context, reference, options, async ({ bring }) => {
      const image = await bring(appRepository(name));
      brought.push(image);
      return image;
    });
  }

  /** What was brought for a build has no other use, unless a release is of it. */
  async #discard(brought: readonly ImageRef[]): Promise<void> {
    const { store, logger } = this.#context;
    if (brought.length === 0) return;
    try {
      await store.commit(discardWrites(brought));
    } catch (error) {
      logger.warn("images that a build has used stay in the registry", { error: messageOf(error) });
    }
  }

  async #succeed(build: Build, log: BuildLog, input: object, options: WriteOptions): Promise<BuildView> {
    const result = this.#view(build);
    const image = build.image?.digest.slice(0, 19) ?? "";
    const what = `${String(build.files)} files, template ${build.template}, image ${image}`;
    const message = `built ${build.appName}: ${what}${fromOf(build)}`;
    // The work is done: whoever asked may be gone, it is written down all the same.
    const rest: WriteOptions = { caller: options.caller, idempotencyKey: options.idempotencyKey };
    const answer = await change(this.#context, "build.create", input, rest, () =>
      Promise.resolve({
        writes: [
          { op: "put", kind: "build", value: build },
          { op: "put", kind: "buildLog", value: log.record(build.id) },
        ],
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
  async #fail(started: Build, log: BuildLog, error: DinpError, actor: string): Promise<void> {
    const { store, clock, logger } = this.#context;
    const now = clock.now();
    const reason = printable(error.message);
    log.add(
      `failed after ${((now - started.createdAt) / 1000).toFixed(1)} s: ${error.message} (${error.code})`,
    );
    if (error.hint !== undefined) log.add(`hint: ${error.hint}`);
    const failed: Build = { ...started, state: "failed", error: reason, endedAt: now };
    const message = `build of ${started.appName}${fromOf(started)} failed: ${reason}`;
    const event = toRecord(
      this.#context,
      { type: "build.failed", message, app: { id: null, name: started.appName } },
      actor,
      now,
    );
    try {
      await store.commit([
        { op: "put", kind: "build", value: failed },
        { op: "put", kind: "buildLog", value: log.record(started.id) },
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

function inputOf(name: string, request: BuildRequest, code: object): object {
  const { template, base, command, format, fileName, tag } = request;
  return { name, template, base, command, format, fileName, tag, ...code };
}

function fromOf({ source }: Build): string {
  return source === undefined ? "" : ` from ${source}`;
}

/** Streams fail with whatever their source throws; what leaves here is the platform's own. */
function toDinpError(error: unknown, signal: AbortSignal | undefined): DinpError {
  if (signal?.aborted === true)
    return new DinpError("DINP_ABORTED", "The upload was broken off.", { cause: error });
  const told = fromOwnRegistry(error);
  if (isDinpError(told)) return told;
  return new DinpError("DINP_INTERNAL", "The build failed for a reason inside the platform.", {
    cause: error,
  });
}

function withBuildId(error: DinpError, buildId: string): DinpError {
  const { code, message, retryable, cause, hint, details } = error;
  return new DinpError(code, message, {
    retryable,
    cause,
    details: { ...details, buildId },
    ...(hint === undefined ? {} : { hint }),
  });
}
