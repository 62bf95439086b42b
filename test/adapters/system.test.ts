import { createHash } from "node:crypto";
import { mkdir, mkdtemp, readdir, rm, stat, writeFile } from "node:fs/promises";
import { join } from "node:path";
import fc from "fast-check";
import { describe, expect, it, onTestFinished } from "vitest";
import {
  createFileLocalState,
  createFileSpool,
  createNodeHasher,
  createPinoLogger,
  createSystemClock,
  createSystemRandom,
} from "@dinp/core/system";

async function folder(): Promise<string> {
  const dir = await mkdtemp("/tmp/dinp-system-");
  onTestFinished(() => rm(dir, { recursive: true, force: true }));
  return dir;
}

describe("system clock", () => {
  it("sleeps at least as long as asked, and not much longer", async () => {
    const clock = createSystemClock();
    const since = clock.monotonicMs();
    await clock.sleep(50);
    expect(clock.monotonicMs() - since).toBeGreaterThanOrEqual(49);
    expect(Math.abs(clock.now() - Date.now())).toBeLessThan(1_000);
  });

  it("an abort ends a sleep with DINP_ABORTED, before and during it", async () => {
    const clock = createSystemClock();
    await expect(clock.sleep(60_000, { signal: AbortSignal.abort() })).rejects.toMatchObject({
      code: "DINP_ABORTED",
    });
    const abort = new AbortController();
    const sleeping = clock.sleep(2 ** 40, { signal: abort.signal });
    abort.abort();
    await expect(sleeping).rejects.toMatchObject({ code: "DINP_ABORTED" });
    await expect(clock.sleep(Number.NaN)).rejects.toThrow(TypeError);
  });
});

describe("system random", () => {
  it("gives numbers in [0, 1) and as many bytes as asked", () => {
    const random = createSystemRandom();
    const numbers = Array.from({ length: 2_000 }, () => random.next());
    expect(numbers.every((number) => number >= 0 && number < 1)).toBe(true);
    expect(new Set(numbers).size).toBe(2_000);
    const mean = numbers.reduce((sum, number) => sum + number, 0) / numbers.length;
    expect(Math.abs(mean - 0.5)).toBeLessThan(0.1);
    expect(random.bytes(33)).toHaveLength(33);
    expect(() => random.bytes(-1)).toThrow(TypeError);
  });
});

describe("file spool", () => {
  it("gives back what was appended, in parts as asked for, and leaves no file", async () => {
    const dir = join(await folder(), "spool");
    const spooled = await createFileSpool({ dir }).open();
    await spooled.append(Buffer.from("hello "));
    await spooled.append(Buffer.from("world"));
    expect(Buffer.from(await spooled.read(4, 4)).toString()).toBe("o wo");
    expect(Buffer.from(await spooled.read(6, 1_000)).toString()).toBe("world");
    expect(await readdir(dir)).toEqual([]);
    expect((await stat(dir)).mode & 0o077).toBe(0);
    await spooled.close();
    await spooled.close();
    await expect(spooled.append(Buffer.from("!"))).rejects.toMatchObject({ code: "DINP_UNAVAILABLE" });
  });

  it("says when there is no place for it", async () => {
    const dir = await folder();
    await writeFile(join(dir, "file"), "");
    await expect(createFileSpool({ dir: join(dir, "file") }).open()).rejects.toMatchObject({
      code: "DINP_UNAVAILABLE",
    });
  });
});

describe("node hasher", () => {
  it("hashes like SHA-256, however the bytes are cut", () => {
    fc.assert(
      fc.property(fc.array(fc.uint8Array()), (pieces) => {
        const hash = createNodeHasher().sha256();
        for (const piece of pieces) hash.update(piece);
        expect(hash.digestHex()).toBe(createHash("sha256").update(Buffer.concat(pieces)).digest("hex"));
      }),
    );
  });

  it("is used once", () => {
    const hash = createNodeHasher().sha256();
    hash.digestHex();
    expect(() => hash.digestHex()).toThrow(TypeError);
    expect(() => {
      hash.update(new Uint8Array(1));
    }).toThrow(TypeError);
  });
});

describe("file local state", () => {
  it("keeps values over instances, privately", async () => {
    const dir = join(await folder(), "state");
    const state = createFileLocalState({ dir });
    expect(await state.read("epoch")).toBeNull();
    await state.write("epoch", "7");
    await state.write("empty", "");
    const again = createFileLocalState({ dir });
    expect([await again.read("epoch"), await again.read("empty")]).toEqual(["7", ""]);
    expect((await stat(dir)).mode & 0o777).toBe(0o700);
    for (const name of await readdir(dir)) expect((await stat(join(dir, name))).mode & 0o777).toBe(0o600);
  });

  it("writes of one key happen in call order, and readers see whole values", async () => {
    const dir = await folder();
    const state = createFileLocalState({ dir });
    const valueOf = (n: number): string => String(n).repeat(20_000);
    await state.write("key", valueOf(0));
    const progress = { done: false };
    const writes = Promise.all(
      Array.from({ length: 20 }, (_, n) => state.write("key", valueOf(n % 10))),
    ).finally(() => {
      progress.done = true;
    });
    while (!progress.done) expect(await state.read("key")).toMatch(/^(\d)\1{19999}$/);
    await writes;
    expect(await state.read("key")).toBe(valueOf(9));
    expect(await readdir(dir)).toHaveLength(1);
  });

  it("refuses keys that could be paths, and says when the disk does not serve", async () => {
    const dir = await folder();
    const state = createFileLocalState({ dir });
    for (const key of ["", "../x", "a/b", ".hidden", "a\0", "x".repeat(201)]) {
      await expect(state.read(key)).rejects.toMatchObject({ code: "DINP_INVALID" });
      await expect(state.write(key, "x")).rejects.toMatchObject({ code: "DINP_INVALID" });
    }
    await writeFile(join(dir, "file"), "");
    const broken = createFileLocalState({ dir: join(dir, "file") });
    await expect(broken.write("key", "x")).rejects.toMatchObject({
      code: "DINP_UNAVAILABLE",
      retryable: true,
    });
    await expect(broken.read("key")).rejects.toMatchObject({ code: "DINP_UNAVAILABLE" });
  });

  it("a failed write leaves the old value, and later writes work", async () => {
    const dir = await folder();
    const state = createFileLocalState({ dir });
    await state.write("key", "old");
    const [name = ""] = await readdir(dir);
    await mkdir(join(dir, `${name}.tmp`));
    await expect(state.write("key", "new")).rejects.toMatchObject({ code: "DINP_UNAVAILABLE" });
    expect(await state.read("key")).toBe("old");
    await rm(join(dir, `${name}.tmp`), { recursive: true });
    await state.write("key", "new");
    expect(await state.read("key")).toBe("new");
  });
});

describe("pino logger", () => {
  function collect(options: Parameters<typeof createPinoLogger>[0] = {}) {
    const lines: string[] = [];
    return {
      lines,
      logger: createPinoLogger({ ...options, destination: { write: (line) => lines.push(line) } }),
    };
  }

  it("writes JSON lines from its level on", () => {
    const { lines, logger } = collect();
    logger.debug("quiet");
    logger.info("hello", { app: "a", port: 1 });
    logger.error("bad\nnews");
    const records = lines.map((line) => JSON.parse(line) as Record<string, unknown>);
    expect(records).toMatchObject([
      { level: "info", msg: "hello", app: "a", port: 1 },
      { level: "error", msg: "bad\nnews" },
    ]);
    expect(Number.isNaN(Date.parse(String(records[0]?.["time"])))).toBe(false);
    expect(lines.every((line) => line.endsWith("\n") && !line.slice(0, -1).includes("\n"))).toBe(true);
  });

  it("writes lines for people, without raw control characters", () => {
    const { lines, logger } = collect({ pretty: true, level: "debug" });
    logger.debug("started\u001b[2J\nfake", { app: "a b", n: 3 });
    expect(lines).toHaveLength(1);
    expect(lines[0]).toMatch(/^\d\d:\d\d:\d\d\.\d{3} DEBUG started\\u001b\[2J\\u000afake app="a b" n=3\n$/);
  });

  it("never throws", () => {
    const logger = createPinoLogger({
      destination: {
        write: () => {
          throw new Error("full");
        },
      },
    });
    expect(() => {
      logger.error("x");
    }).not.toThrow();
    const silent = collect({ level: "silent" });
    silent.logger.error("x");
    expect(silent.lines).toEqual([]);
  });
});
