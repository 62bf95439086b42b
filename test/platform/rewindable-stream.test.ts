import { mkdtemp, readdir, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import fc from "fast-check";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { RewindableStream, type ByteStream, type Spool } from "@dinp/core";
import { createFileSpool } from "@dinp/core/system";

async function collect(bytes: ByteStream): Promise<Buffer> {
  const pieces: Uint8Array[] = [];
  for await (const piece of bytes) pieces.push(piece);
  return Buffer.concat(pieces);
}

async function* inPieces(pieces: readonly Uint8Array[]): AsyncGenerator<Uint8Array> {
  for (const piece of pieces) yield await Promise.resolve(piece);
}

function deferred(): { readonly promise: Promise<void>; readonly resolve: () => void } {
  let resolve = (): void => undefined;
  const promise = new Promise<void>((done) => {
    resolve = done;
  });
  return { promise, resolve };
}

/** Reads at least this many bytes, and leaves. */
async function readSome(bytes: AsyncGenerator<Uint8Array>, count: number): Promise<Buffer> {
  const pieces: Uint8Array[] = [];
  let size = 0;
  while (size < count) {
    const next = await bytes.next();
    if (next.done === true) break;
    pieces.push(next.value);
    size += next.value.length;
  }
  await bytes.return(undefined);
  return Buffer.concat(pieces);
}

describe("a stream that can be read again", () => {
  let dir: string;
  let spool: Spool;

  beforeAll(async () => {
    dir = await mkdtemp(join(tmpdir(), "dinp-rewind-"));
    spool = createFileSpool({ dir: join(dir, "spool") });
  });

  afterAll(async () => {
    expect(await readdir(join(dir, "spool"))).toEqual([]);
    await rm(dir, { recursive: true });
  });

  it("gives the same bytes each time, wherever the readings before were left", async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.uint8Array({ maxLength: 1_000 }), { maxLength: 20 }),
        fc.array(fc.nat(20_000), { maxLength: 4 }),
        async (pieces, leftAt) => {
          const whole = Buffer.concat(pieces);
          const stream = new RewindableStream(inPieces(pieces), spool);
          for (const count of leftAt) {
            const some = await readSome(stream.read(), count);
            expect(some.equals(whole.subarray(0, some.length))).toBe(true);
            expect(some.length).toBeGreaterThanOrEqual(Math.min(count, whole.length));
          }
          expect((await collect(stream.read())).equals(whole)).toBe(true);
          expect((await collect(stream.read())).equals(whole)).toBe(true);
          await stream.close();
        },
      ),
    );
  });

  it("loses nothing of a reading that is left while it waits", async () => {
    const gate = deferred();
    const stream = new RewindableStream(
      (async function* () {
        yield Buffer.from("first ");
        await gate.promise;
        yield Buffer.from("second ");
        yield Buffer.from("third");
      })(),
      spool,
    );
    const left = stream.read();
    await left.next();
    const waiting = left.next();
    const reading = collect(stream.read());
    gate.resolve();
    expect((await reading).toString()).toBe("first second third");
    expect(Buffer.from((await waiting).value ?? []).toString()).toBe("second ");
    await left.return(undefined);
    await stream.close();
  });

  it("fails each reading as the stream failed, never as if it had ended", async () => {
    const failure = new Error("it broke");
    const stream = new RewindableStream(
      (async function* () {
        yield await Promise.resolve(Buffer.from("first"));
        throw failure;
      })(),
      spool,
    );
    await expect(collect(stream.read())).rejects.toBe(failure);
    await expect(collect(stream.read())).rejects.toBe(failure);
    await stream.close();
  });

  it("goes on to the end when nothing can be kept, and says that there is no second reading", async () => {
    const full: Spool = { open: () => Promise.reject(new Error("ENOSPC")) };
    const stream = new RewindableStream(inPieces([Buffer.from("one "), Buffer.from("two")]), full);
    expect((await collect(stream.read())).toString()).toBe("one two");
    expect(stream.isWhole).toBe(false);
    await expect(collect(stream.read())).rejects.toMatchObject({ code: "DINP_UNAVAILABLE", retryable: true });
    await stream.close();
  });

  it("lets go of a stream that has not ended, also while it hangs", async () => {
    let left = 0;
    const hanging: ByteStream = {
      [Symbol.asyncIterator]: () => ({
        next: () => new Promise(() => undefined),
        return: () => {
          left += 1;
          return Promise.resolve({ done: true, value: undefined });
        },
      }),
    };
    const stream = new RewindableStream(hanging, spool);
    void stream.read().next();
    await stream.close();
    await stream.close();
    expect(left).toBe(1);
  });
});
