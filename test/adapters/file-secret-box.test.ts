import { createCipheriv, randomBytes } from "node:crypto";
import { chmod, chown, mkdtemp, readdir, readFile, rm, stat, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { DinpError } from "@dinp/core";
import { addSecretKey, createFileSecretBox } from "@dinp/core/system";
import { afterEach, beforeEach, describe, expect, it } from "vitest";

let folder = "";
let keyFile = "";

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "dinp-secrets-"));
  keyFile = join(folder, "keys/secrets.key");
});

afterEach(async () => {
  await rm(folder, { recursive: true });
});

const corrupt = { code: "DINP_CORRUPT", hint: expect.any(String) };

async function errorOf(promise: Promise<unknown>): Promise<DinpError> {
  return promise.then(
    () => {
      throw new Error("nothing was refused");
    },
    (error: unknown) => error as DinpError,
  );
}

/** The lines of a key file that hold keys. */
async function keyLines(): Promise<string[]> {
  return (await readFile(keyFile, "utf8")).split("\n").filter((line) => /^k/.test(line));
}

/** As secrets were sealed when a file had one key only. */
function sealedBefore(key: Buffer, secret: string, purpose: string): string {
  const nonce = randomBytes(12);
  const cipher = createCipheriv("aes-256-gcm", key, nonce, { authTagLength: 16 }).setAAD(
    Buffer.from(purpose),
  );
  const text = Buffer.concat([cipher.update(secret, "utf8"), cipher.final()]);
  return `v1:${Buffer.concat([nonce, cipher.getAuthTag(), text]).toString("base64")}`;
}

describe("a sealed secret", () => {
  it("is opened by its own key for its own purpose only", async () => {
    const other = join(folder, "b/key");
    const sealed = await Promise.all(
      [1, 2].map(() => createFileSecretBox({ keyFile }).seal("correct horse ☃", "registry x")),
    );
    expect(new Set(sealed).size).toBe(2);
    const box = createFileSecretBox({ keyFile });
    for (const text of sealed) {
      expect(text).not.toContain("horse");
      expect(await box.open(text, "registry x")).toBe("correct horse ☃");
      expect(await errorOf(box.open(text, "registry y"))).toMatchObject(corrupt);
      const elsewhere = createFileSecretBox({ keyFile: other });
      expect(await errorOf(elsewhere.open(text, "registry x"))).toMatchObject(corrupt);
      const changed = text.slice(0, -5) + (text.at(-5) === "A" ? "B" : "A") + text.slice(-4);
      expect(await errorOf(box.open(changed, "registry x"))).toMatchObject(corrupt);
      for (const none of ["v1:", "v2:", "", "v3:AAAA", text.replace("v2:", "v1:").slice(0, 30)])
        expect(await errorOf(box.open(none, "registry x"))).toMatchObject(corrupt);
    }
    expect((await stat(keyFile)).mode & 0o777).toBe(0o600);
    // Opening makes no key.
    expect(await errorOf(stat(other))).toMatchObject({ code: "ENOENT" });
  });

  it("is opened after the key was changed, also by one who was there before", async () => {
    const box = createFileSecretBox({ keyFile });
    const before = await box.seal("first", "p");
    const [old] = await box.keyNames();
    const names = await addSecretKey({ keyFile });
    expect(names[1]).toBe(old);
    expect(await box.keyNames()).toEqual(names);
    const after = await box.seal("second", "p");
    expect([box.keyNameOf(before), box.keyNameOf(after)]).toEqual([old, names[0]]);
    for (const reader of [box, createFileSecretBox({ keyFile })]) {
      expect(await reader.open(before, "p")).toBe("first");
      expect(await reader.open(after, "p")).toBe("second");
    }
  });

  it("cannot be opened once its key was taken out of the file, and says which", async () => {
    const box = createFileSecretBox({ keyFile });
    const before = await box.seal("first", "p");
    const [, old] = await addSecretKey({ keyFile });
    const [first = ""] = await keyLines();
    await writeFile(keyFile, `${first}\n`, { mode: 0o600 });
    const refused = await errorOf(box.open(before, "p"));
    expect(refused).toMatchObject(corrupt);
    expect(refused.message).toContain(old);
    expect(await box.open(await box.seal("second", "p"), "p")).toBe("second");
  });

  it("of the time when the file was one key is opened, by that file and after a key was added", async () => {
    await addSecretKey({ keyFile });
    const key = randomBytes(32);
    await writeFile(keyFile, key, { mode: 0o600 });
    const sealed = sealedBefore(key, "old ☃", "p");
    const box = createFileSecretBox({ keyFile });
    expect(await box.open(sealed, "p")).toBe("old ☃");
    expect(box.keyNameOf(sealed)).toBeNull();
    const [old] = await box.keyNames();
    const since = await box.seal("new", "p");
    expect((await addSecretKey({ keyFile }))[1]).toBe(old);
    expect(await box.open(sealed, "p")).toBe("old ☃");
    expect(await box.open(since, "p")).toBe("new");
    expect(await errorOf(box.open(sealed, "q"))).toMatchObject(corrupt);
  });
});

describe("a key file", () => {
  it("is not made where it must be there already", async () => {
    const box = createFileSecretBox({ keyFile, make: false });
    expect(await box.keyNames()).toEqual([]);
    expect(await errorOf(box.seal("x", "p"))).toMatchObject(corrupt);
    expect(await errorOf(stat(keyFile))).toMatchObject({ code: "ENOENT" });
    await addSecretKey({ keyFile });
    expect(await box.open(await box.seal("x", "p"), "p")).toBe("x");
  });

  it("that others may read is refused", async () => {
    await addSecretKey({ keyFile });
    const box = createFileSecretBox({ keyFile });
    const sealed = await box.seal("x", "p");
    const invalid = { code: "DINP_INVALID", hint: expect.stringContaining("chmod 600") };
    for (const mode of [0o604, 0o644, 0o660, 0o601]) {
      await chmod(keyFile, mode);
      expect(await errorOf(box.open(sealed, "p"))).toMatchObject(invalid);
      expect(await errorOf(addSecretKey({ keyFile }))).toMatchObject(invalid);
    }
    await chmod(keyFile, 0o600);
    expect(await box.open(sealed, "p")).toBe("x");
  });

  it("may be read by its group when it is root's, as systemd passes credentials on", async ({ skip }) => {
    await addSecretKey({ keyFile });
    const box = createFileSecretBox({ keyFile });
    const sealed = await box.seal("x", "p");
    await chmod(keyFile, 0o440);
    if (process.getuid?.() !== 0) {
      expect(await errorOf(box.open(sealed, "p"))).toMatchObject({ code: "DINP_INVALID" });
      skip("only root can make a file of root's");
    }
    expect(await box.open(sealed, "p")).toBe("x");
    await chown(keyFile, 65_534, 65_534);
    expect(await errorOf(box.open(sealed, "p"))).toMatchObject({ code: "DINP_INVALID" });
  });

  it("that is damaged is refused as a whole, without telling what is in it", async () => {
    await addSecretKey({ keyFile });
    const [line = ""] = await keyLines();
    const key = line.slice(line.indexOf(":") + 1);
    const broken = [
      "",
      "# nothing\n",
      key.slice(0, 31),
      `${line.slice(0, -2)}\n`,
      `${line}\n${line}\n`,
      `${line}\nk000000000000:${key}\n`,
      `${line}\nmore\n`,
      "x".repeat(70_000),
    ];
    const box = createFileSecretBox({ keyFile });
    for (const text of broken) {
      await writeFile(keyFile, text);
      for (const refused of [await errorOf(box.seal("x", "p")), await errorOf(addSecretKey({ keyFile }))]) {
        expect(refused, JSON.stringify(text.slice(0, 80))).toMatchObject(corrupt);
        expect(String(refused)).not.toContain(key.slice(0, 12));
      }
    }
    expect(await readdir(join(folder, "keys"))).toEqual(["secrets.key"]);
  });

  it("may have comments, empty lines and line ends of any kind", async () => {
    await addSecretKey({ keyFile });
    const names = await addSecretKey({ keyFile });
    await writeFile(keyFile, `\r\n# mine\r\n\r\n  ${(await keyLines()).join("\r\n\r\n")}\r\n`);
    expect(await createFileSecretBox({ keyFile }).keyNames()).toEqual(names);
  });

  it("takes so many keys, and loses none when several are added at the same time", async () => {
    await addSecretKey({ keyFile });
    const results = await Promise.allSettled(Array.from({ length: 8 }, () => addSecretKey({ keyFile })));
    const added = results.filter(({ status }) => status === "fulfilled").length;
    for (const result of results)
      if (result.status === "rejected") expect(result.reason).toMatchObject({ code: "DINP_LOCKED" });
    expect(await keyLines()).toHaveLength(1 + added);
    for (let count = 1 + added; count < 16; count += 1) await addSecretKey({ keyFile });
    expect(await errorOf(addSecretKey({ keyFile }))).toMatchObject({ code: "DINP_INVALID" });
    expect(await keyLines()).toHaveLength(16);
    expect((await stat(keyFile)).mode & 0o777).toBe(0o600);
  });
});
