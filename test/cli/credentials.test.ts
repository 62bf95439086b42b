import { mkdtemp, mkdir, readdir, readFile, rm, stat, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import {
  credentialsPath,
  loadCredentials,
  resolveApi,
  saveCredentials,
} from "../../src/adapters/cli/credentials.js";

let home: string;
beforeEach(async () => {
  home = await mkdtemp(join(tmpdir(), "dinp-cli-"));
});
afterEach(async () => {
  await rm(home, { recursive: true, force: true });
});

describe("the credentials file", () => {
  it("is where XDG says, else in ~/.config", () => {
    expect(credentialsPath({ HOME: "/h", XDG_CONFIG_HOME: "/x" })).toBe("/x/dinp/credentials.json");
    expect(credentialsPath({ HOME: "/h", XDG_CONFIG_HOME: "relative" })).toBe(
      "/h/.config/dinp/credentials.json",
    );
    expect(credentialsPath({ HOME: "/h" })).toBe("/h/.config/dinp/credentials.json");
  });

  it("is readable by its owner only, keeps other APIs' tokens, and leaves nothing beside it", async () => {
    const env = { HOME: home };
    const path = await saveCredentials(env, { apiUrl: "http://one:1/", token: "t1" });
    await saveCredentials(env, { apiUrl: "http://two:2", token: "t2" });
    await saveCredentials(env, { apiUrl: "http://one:1", token: "t3" });
    expect(await loadCredentials(env)).toEqual({
      current: "http://one:1",
      tokens: { "http://one:1": "t3", "http://two:2": "t2" },
    });
    expect((await stat(path)).mode & 0o777).toBe(0o600);
    expect((await stat(join(path, ".."))).mode & 0o777).toBe(0o700);
    expect(await readdir(join(path, ".."))).toEqual(["credentials.json"]);
  });

  it("closes a folder and a file that were open to others", async () => {
    const env = { HOME: home };
    const path = credentialsPath(env);
    await mkdir(join(path, ".."), { recursive: true, mode: 0o755 });
    await writeFile(path, '{"current":null,"tokens":{}}', { mode: 0o644 });
    await saveCredentials(env, { apiUrl: "http://one:1", token: "t" });
    expect((await stat(path)).mode & 0o777).toBe(0o600);
    expect((await stat(join(path, ".."))).mode & 0o777).toBe(0o700);
  });

  it.each(["", "{", "[]", '{"current":1,"tokens":{}}', '{"current":null,"tokens":{"a":1}}'])(
    "that is damaged (%j) is an error that names it, and is not overwritten",
    async (text) => {
      const env = { HOME: home };
      const path = credentialsPath(env);
      await mkdir(join(path, ".."), { recursive: true });
      await writeFile(path, text);
      await expect(loadCredentials(env)).rejects.toThrow(path);
      await expect(saveCredentials(env, { apiUrl: "http://one:1", token: "t" })).rejects.toThrow(path);
      expect(await readFile(path, "utf8")).toBe(text);
    },
  );

  it("says so at once where no folder can be made, and may be stored by several at once", async () => {
    const login = { apiUrl: "http://one:1", token: "t" };
    await expect(saveCredentials({ XDG_CONFIG_HOME: "/proc/dinp-none" }, login)).rejects.toThrow(
      "Cannot write /proc/dinp-none/dinp/credentials.json",
    );
    const env = { XDG_CONFIG_HOME: join(home, "a", "b") };
    await Promise.all(Array.from({ length: 10 }, () => saveCredentials(env, login)));
    expect((await stat(join(home, "a", "b"))).mode & 0o777).toBe(0o700);
  });

  it("that cannot be written says where", async () => {
    await writeFile(join(home, "file"), "");
    const env = { HOME: home, XDG_CONFIG_HOME: join(home, "file") };
    await expect(saveCredentials(env, { apiUrl: "http://one:1", token: "t" })).rejects.toThrow(
      /credentials\.json/,
    );
  });
});

describe("which API, with which token", () => {
  it("flags win over the environment, that over the file, that over the default", async () => {
    expect(await resolveApi({}, { HOME: home })).toEqual({
      url: "http://127.0.0.1:7070",
      token: null,
      tokenFrom: null,
    });
    await saveCredentials({ HOME: home }, { apiUrl: "http://env:1", token: "of-env" });
    await saveCredentials({ HOME: home }, { apiUrl: "http://file:1", token: "of-file" });
    expect(await resolveApi({}, { HOME: home })).toEqual({
      url: "http://file:1",
      token: "of-file",
      tokenFrom: "file",
    });
    const env = { HOME: home, DINP_API: "http://env:1" };
    expect(await resolveApi({}, env)).toEqual({ url: "http://env:1", token: "of-env", tokenFrom: "file" });
    expect(await resolveApi({}, { ...env, DINP_TOKEN: "e" })).toEqual({
      url: "http://env:1",
      token: "e",
      tokenFrom: "environment",
    });
    expect(await resolveApi({ api: "flag:1", token: "f" }, { ...env, DINP_TOKEN: "e" })).toEqual({
      url: "http://flag:1",
      token: "f",
      tokenFrom: "flag",
    });
  });

  it("never sends one API's stored token to another", async () => {
    await saveCredentials({ HOME: home }, { apiUrl: "http://file:1", token: "of-file" });
    expect((await resolveApi({ api: "http://other:1" }, { HOME: home })).token).toBeNull();
    expect((await resolveApi({ api: "http://constructor" }, { HOME: home })).token).toBeNull();
  });
});
