import { randomBytes } from "node:crypto";
import { readdir } from "node:fs/promises";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import type { BuilderOptions, BuildResult, ByteStream, ImageBuildRequest, Registry, Spool } from "@dinp/core";
import { createBuilder } from "@dinp/core";
import { createGzipCompressor } from "@dinp/core/gzip";
import { createFileSpool, createNodeHasher, createSystemClock } from "@dinp/core/system";
import { parseYaml } from "@dinp/core/yaml";
import { makeZip } from "../adapters/support/make-zip.js";
import { registryWith } from "../mutants/registry-with.js";
import { makeTarGz, openWorkshop, stream, type Workshop } from "./support.js";

const repository = "apps/hello";
const FILES = 6;
/** No piece of it can be compressed: what was read of it tells how far the layer came. */
const contents = Array.from({ length: FILES }, () => randomBytes(100_000));
const MANIFEST = "command: ./start\nenv:\n  GREETING: hello\n";
const upload = await makeTarGz([
  { name: "dinp.yaml", content: MANIFEST },
  ...contents.map((content, file) => ({ name: `files/${String(file)}`, content })),
]);

interface Forgetful {
  readonly registry: Registry;
  /** How often a source was opened, and how many were one stream. */
  readonly seen: { opened: number; once: number };
}

/** A registry that forgets the beginning of large blobs, after each of these numbers of bytes. */
function forgetful(registry: Registry, after: readonly number[], onAgain = (): void => undefined): Forgetful {
  const seen = { opened: 0, once: 0 };
  return {
    seen,
    registry: registryWith(registry, {
      writeBlob: async (name, source, options) => {
        if (typeof source !== "function") {
          seen.once += 1;
          return registry.writeBlob(name, source, options);
        }
        for (const count of after) {
          seen.opened += 1;
          await leaveAfter(source(), count);
          onAgain();
        }
        seen.opened += 1;
        return registry.writeBlob(name, source, options);
      },
    }),
  };
}

async function leaveAfter(bytes: ByteStream, count: number): Promise<void> {
  let read = 0;
  for await (const piece of bytes) if ((read += piece.length) >= count) return;
}

function build(
  workshop: Workshop,
  request: Omit<ImageBuildRequest, "repository">,
  options: Partial<BuilderOptions> = {},
): Promise<BuildResult> {
  const builder = createBuilder({
    ...{ registry: workshop.registry, archive: workshop.archive },
    ...{ hasher: createNodeHasher(), clock: createSystemClock(), parseYaml },
    ...options,
  });
  return builder.build({ repository, ...request });
}

/** A spool that knows what is open in it. */
function watched(workshop: Workshop): { readonly spool: Spool; readonly open: () => number } {
  const files = createFileSpool({ dir: join(workshop.dir, "spool") });
  let open = 0;
  const spool: Spool = {
    open: async () => {
      const kept = await files.open();
      open += 1;
      return {
        append: (bytes) => kept.append(bytes),
        read: (offset, countMax) => kept.read(offset, countMax),
        close: async () => {
          open -= 1;
          await kept.close();
        },
      };
    },
  };
  return { spool, open: () => open };
}

describe("a build whose registry forgets what it was sent", () => {
  const bounds = {
    uploadBytesMax: upload.length,
    imageBytesMax: contents.length * 100_000 + MANIFEST.length,
    imageFilesMax: FILES + 3,
  };

  it.each([
    ["a stream and a spool", () => stream(upload, 5_000)],
    ["a source that can be read again", () => (): ByteStream => stream(upload, 5_000)],
  ])("stores the same image, within the same bounds, from %s", async (_, bytes) => {
    await using workshop = await openWorkshop();
    const expected = await build(workshop, { bytes: stream(upload) });
    const { spool, open } = watched(workshop);
    const { registry, seen } = forgetful(workshop.registry, [1, 300_000, 300_000, 600_000, 10_000_000]);
    const built = await build(workshop, { bytes: bytes() }, { registry, spool, limits: bounds });
    expect(built).toEqual(expected);
    expect(seen.opened).toBe(6);
    expect(open()).toBe(0);
  });

  it("does so for compressed layers, zips and programs", async () => {
    await using workshop = await openWorkshop();
    const zip = makeZip([
      { name: "index.html", content: "hello" },
      { name: "large", content: randomBytes(200_000).toString("hex") },
    ]);
    const program = Buffer.concat([Buffer.from("\x7fELF\x02\x01", "latin1"), randomBytes(200_000)]);
    for (const bytes of [upload, zip, program]) {
      for (const more of [{}, { compressor: createGzipCompressor() }]) {
        const expected = await build(workshop, { bytes: stream(bytes) }, more);
        const { registry, seen } = forgetful(workshop.registry, [1, 100_000]);
        const { spool } = watched(workshop);
        expect(await build(workshop, { bytes: stream(bytes) }, { ...more, registry, spool })).toEqual(
          expected,
        );
        expect(seen.opened).toBe(3);
      }
    }
    expect(await readdir(join(workshop.dir, "uploads"))).toEqual([]);
  });

  it("goes on with an upload that is still arriving", async () => {
    await using workshop = await openWorkshop();
    const expected = await build(workshop, { bytes: stream(upload) });
    let arrive = (): void => undefined;
    const rest = new Promise<void>((resolve) => {
      arrive = resolve;
    });
    const arriving = async function* (): AsyncGenerator<Uint8Array> {
      yield* stream(upload.subarray(0, 400_000), 5_000);
      await rest;
      yield* stream(upload.subarray(400_000), 5_000);
    };
    const { registry } = forgetful(workshop.registry, [150_000, 150_000], () => {
      arrive();
    });
    const { spool } = watched(workshop);
    expect(await build(workshop, { bytes: arriving() }, { registry, spool })).toEqual(expected);
  });

  it("lets go of each reading before the next one", async () => {
    await using workshop = await openWorkshop();
    let [opened, left] = [0, 0];
    const source = async function* (): AsyncGenerator<Uint8Array> {
      opened += 1;
      try {
        yield* stream(upload, 5_000);
      } finally {
        left += 1;
      }
    };
    const { registry } = forgetful(workshop.registry, [1, 200_000, 400_000]);
    await build(workshop, { bytes: source }, { registry });
    expect(opened).toBe(4);
    await expect.poll(() => left).toBe(4);
  });

  it("ends when it is aborted in the middle of a reading from the spool", async () => {
    await using workshop = await openWorkshop();
    const stop = new AbortController();
    const { spool, open } = watched(workshop);
    const hanging = async function* (): AsyncGenerator<Uint8Array> {
      yield* stream(upload.subarray(0, 400_000), 5_000);
      await new Promise<never>(() => undefined);
    };
    const { registry } = forgetful(workshop.registry, [150_000], () => {
      setImmediate(() => {
        stop.abort();
      });
    });
    const building = build(workshop, { bytes: hanging(), signal: stop.signal }, { registry, spool });
    await expect(building).rejects.toMatchObject({ code: "DINP_ABORTED" });
    expect(open()).toBe(0);
    expect(await readdir(join(workshop.dir, "registry/uploads"))).toEqual([]);
  });

  it("hears that an upload stopped, also in a later reading", async () => {
    await using workshop = await openWorkshop();
    const hanging = async function* (): AsyncGenerator<Uint8Array> {
      yield* stream(upload.subarray(0, 400_000), 5_000);
      await new Promise<never>(() => undefined);
    };
    const { registry } = forgetful(workshop.registry, [150_000]);
    const { spool, open } = watched(workshop);
    const building = build(workshop, { bytes: hanging() }, { registry, spool, limits: { idleMs: 50 } });
    await expect(building).rejects.toMatchObject({ code: "DINP_TIMEOUT" });
    expect(open()).toBe(0);
  });

  it("says what is wrong with the archive, also in a later reading", async () => {
    await using workshop = await openWorkshop();
    const { registry } = forgetful(workshop.registry, [150_000]);
    const { spool } = watched(workshop);
    const cut = upload.subarray(0, 400_000);
    await expect(build(workshop, { bytes: stream(cut) }, { registry, spool })).rejects.toMatchObject({
      code: "DINP_ARCHIVE_REFUSED",
    });
  });

  it("needs the spool only then: a full one fails nothing else, and what it fails may be tried again", async () => {
    await using workshop = await openWorkshop();
    const full: Spool = { open: () => Promise.reject(new Error("ENOSPC")) };
    await build(workshop, { bytes: stream(upload) }, { spool: full });
    const { registry } = forgetful(workshop.registry, [150_000]);
    await expect(build(workshop, { bytes: stream(upload) }, { registry, spool: full })).rejects.toMatchObject(
      {
        code: "DINP_UNAVAILABLE",
        retryable: true,
      },
    );
  });

  it("is given one stream when there is nothing to read the upload again from", async () => {
    await using workshop = await openWorkshop();
    const { registry, seen } = forgetful(workshop.registry, []);
    await build(workshop, { bytes: stream(upload) }, { registry });
    // The layer, and the image's configuration.
    expect(seen).toEqual({ opened: 0, once: 2 });
  });
});
