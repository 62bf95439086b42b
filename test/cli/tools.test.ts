import { execFile } from "node:child_process";
import { createServer } from "node:net";
import { promisify } from "node:util";
import { describe, expect, it } from "vitest";
import { checkNode } from "../../src/adapters/cli/machine-checks.js";
import { webApp } from "./platform-fixture.js";
import { usePlatform } from "./use-platform.js";

const run = promisify(execFile);

const { platform, dinp, ok } = usePlatform(async () => {
  const manifest = "command: [node, server.js]\ncpu: 0.01\nmemory: 96M\n";
  for (const name of ["shop", "shipping"]) {
    await platform.files(name, { "server.js": webApp, "dinp.yaml": manifest });
    await ok(["push", name]);
  }
});

async function words(...line: string[]): Promise<string[]> {
  const { out, err } = await dinp(["complete-words", "--", ...line]);
  expect(err).toBe("");
  return out.split("\n").filter((word) => word !== "");
}

describe("completion", () => {
  it("knows commands, inner commands, options, choices and names of apps", async () => {
    expect(await words("re")).toEqual(["registries", "releases"]);
    expect(await words("")).toContain("push");
    expect(await words("")).not.toContain("complete-words");
    expect(await words("domains", "")).toEqual(["add", "list", "remove", "shipping", "shop"]);
    expect(await words("scale", "sho")).toEqual(["shop"]);
    expect(await words("exec", "--timeout", "5", "s")).toEqual(["shipping", "shop"]);
    expect(await words("push", "--inst")).toEqual(["--instances"]);
    expect(await words("completion", "")).toEqual(["bash", "fish", "zsh"]);
    expect(await words("apps", "--state", "run")).toEqual(["running"]);
    expect(await words("run", "shop", "--", "s")).toEqual([]);
    expect(await words("no-such-command", "s")).toEqual([]);
  });

  it("is silent and quick when there is no API, and without a token", async () => {
    for (const env of [{ DINP_API: "http://127.0.0.1:1" }, { DINP_TOKEN: "" }]) {
      const { code, out, err } = await dinp(["complete-words", "--", "scale", ""], { env });
      expect([code, out, err]).toEqual([0, "", ""]);
    }
    const silent = createServer(() => undefined);
    await new Promise<void>((resolve) => silent.listen(0, "127.0.0.1", resolve));
    const address = silent.address();
    const port = typeof address === "object" && address !== null ? address.port : 0;
    const env = { DINP_API: `http://127.0.0.1:${String(port)}` };
    expect((await dinp(["complete-words", "--", "scale", ""], { env })).code).toBe(0);
    silent.close();
  });

  it("prints a script that each shell can read", async () => {
    const { out } = await dinp(["completion", "bash"]);
    await run("bash", ["-n", "-c", out]);
    const answers = `dinp() { printf '%s\\n' "\${@:3}" | tail -1 | sed 's/$/-done/'; }`;
    const script = `${answers}\n${out}\nCOMP_WORDS=(dinp scale sho); COMP_CWORD=2; _dinp; echo "\${COMPREPLY[@]}"`;
    expect((await run("bash", ["-c", script])).stdout).toBe("sho-done\n");
    for (const shell of ["zsh", "fish"])
      expect((await dinp(["completion", shell])).out).toContain("complete-words");
    expect((await dinp(["completion", "tcsh"])).code).toBe(2);
  });
});

describe("doctor", () => {
  const nowhere = { DINP_API: "http://127.0.0.1:1" };

  it("finds nothing to mend where all is well, and changes nothing", async () => {
    const { out } = await dinp(["doctor", "--json", "--data", platform.folder]);
    const { checks } = JSON.parse(out) as { checks: { name: string; result: string; text: string }[] };
    const resultOf = (name: string): string | undefined =>
      checks.find((check) => check.name === name)?.result;
    for (const name of ["node", "data folder", "API", "clock", "token", "router"]) {
      expect([name, resultOf(name)]).toEqual([name, "ok"]);
    }
    for (const name of ["memory limit", "programs", "name lookup", "port range"])
      expect(resultOf(name)).toBeDefined();
  });

  it("fails, saying what to do, without an API, with a bad token or clock, and with an unusable folder", async () => {
    const none = await dinp(["doctor"], { env: nowhere });
    expect(none.code).toBe(1);
    expect(none.out).toMatch(
      /fail {2}API +Cannot reach the API at http:\/\/127\.0\.0\.1:1 .*\n +Start it with dinp up/,
    );
    const token = await dinp(["doctor"], { env: { DINP_TOKEN: "wrong" } });
    expect([token.code, token.out]).toEqual([
      1,
      expect.stringMatching(/fail {2}token +there is none/) as string,
    ]);
    const now = (): number => Date.now() + 3_600_000;
    const clock = await dinp(["doctor"], { options: { now } });
    expect([clock.code, clock.out]).toEqual([
      1,
      expect.stringMatching(/fail {2}clock +59 min apart/) as string,
    ]);
    const folder = await dinp(["doctor", "--data", "/proc/self/status"]);
    expect(folder.out).toMatch(/fail {2}data folder +\/proc\/self\/status is not a folder/);
  });

  it("knows which Node.js is too old", () => {
    expect(checkNode("20.18.9").result).toBe("fail");
    expect(checkNode("18.20.0").result).toBe("fail");
    expect(checkNode("20.19.0").result).toBe("ok");
    expect(checkNode("24.0.0").result).toBe("ok");
  });
});

describe("lists and results", () => {
  it("filters apps, instances and events", async () => {
    expect((await dinp(["apps", "--prefix", "ship"])).out).toMatch(/^NAME.*\nshipping /);
    expect((await dinp(["apps", "--state", "stopped"])).err).toBe("No app is like that.\n");
    expect((await dinp(["apps", "--limit", "1"])).err).toContain("there are more");
    expect((await dinp(["instances", "shop", "--phase", "running"])).out).toMatch(
      /\ni-\w+ +shop +1 +ready +node-1/,
    );
    const events = async (...flags: string[]): Promise<{ type: string }[]> =>
      (JSON.parse((await dinp(["events", "--json", ...flags])).out) as { items: { type: string }[] }).items;
    const all = await events("--all");
    expect(await events("-n", "3")).toEqual(all.slice(-3));
    expect((await events("--type", "release")).map(({ type }) => type)).toEqual([
      "release.created",
      "release.created",
    ]);
    expect(await events("--since", "2000-01-01", "--all")).toEqual(all);
    expect(await events("--until", "1h")).toEqual([]);
    expect(await events("--since", "7d", "--all")).toEqual(all);
    expect((await dinp(["events", "--until", "2000-01-01 12:00"])).err).toBe("Nothing like that happened.\n");
    for (const none of [
      ["events", "-n", "0"],
      ["logs", "shop", "-n", "0"],
    ])
      expect(await dinp(none)).toMatchObject({ code: 0, out: "", err: "" });
    for (const wrong of ["tomorrow", "2026-13-45", "9999d", "-1h"]) {
      const { code, err } = await dinp(["events", `--since=${wrong}`]);
      expect([code, err]).toEqual([
        2,
        expect.stringContaining("--since must be a date, or how long ago") as string,
      ]);
    }
    expect((await dinp(["events", "-f", "--all"])).code).toBe(2);
  });

  it("--json of a write prints the resulting resource and nothing else", async () => {
    const scaled = await dinp(["scale", "shop", "2", "--json"]);
    expect(JSON.parse(scaled.out)).toMatchObject({ name: "shop", instances: 2, ready: 2 });
    const env = await dinp(["env", "set", "shop", "A=1", "--json", "--no-wait"]);
    expect(JSON.parse(env.out)).toMatchObject({ number: 2, unchanged: false });
    const added = await dinp(["domains", "add", "shop", "json.example.com", "--json"]);
    expect(JSON.parse(added.out)).toEqual({ host: "json.example.com", path: "/" });
    expect((await platform.get("json.example.com")).status).toBe(200);
    const removed = await dinp(["domains", "remove", "shop", "json.example.com", "--json"]);
    expect(JSON.parse(removed.out)).toEqual({ deleted: true });
    expect((await platform.get("json.example.com")).status).toBe(404);
    const stopped = await dinp(["stop", "shop", "--json"]);
    expect(JSON.parse(stopped.out)).toMatchObject({ state: "stopped" });
    const started = await dinp(["start", "shop", "--json"]);
    expect(JSON.parse(started.out)).toMatchObject({ state: "running" });
  });
});
