import { createRequire } from "node:module";
import { format } from "node:util";
import { afterAll, afterEach, beforeAll, expect, it, onTestFinished } from "vitest";
import { type ExecEvent, type InstanceSpec, type RuntimeInstance } from "@dinp/core";
import { programs } from "../../src/core/testing/runtime-programs.js";
import { describeWithServices } from "../support/services.js";
import {
  answerOf,
  DockerHarness,
  DockerStage,
  drain,
  occupy,
  type DockerSettings,
} from "./docker-support/harness.js";
import { eventually } from "./process-support/harness.js";

/** Tells of the rights of the process, and of what it can write to. */
const RIGHTS = `
const fs = require("node:fs");
const canWrite = (path) => { try { fs.writeFileSync(path, "x"); return true; } catch { return false; } };
const status = fs.readFileSync("/proc/self/status", "utf8");
const field = (name) => new RegExp("^" + name + ":\\\\s*(.*)$", "m").exec(status)[1];
process.stdout.write(JSON.stringify({
  uid: process.getuid(),
  capabilities: field("CapEff") + field("CapPrm") + field("CapBnd"),
  noNewPrivileges: field("NoNewPrivs"),
  writes: ["/x", "/app/x", "/.dinp/x", "/tmp/x", process.env.HOME + "/x"].filter(canWrite),
}));
`;

interface Rights {
  readonly uid: number;
  readonly capabilities: string;
  readonly noNewPrivileges: string;
  readonly writes: readonly string[];
}

const files = {
  ...programs,
  "rights.js": RIGHTS,
  "code.js": "process.exit(Number(process.argv[2]));",
  // To one stream: an engine reads two of them in an order of its own.
  "long.js": 'process.stdout.write("x".repeat(40000) + "\\n", () => process.stdout.write("no end of line"));',
  "by-signal.js": "process.kill(process.pid, 'SIGKILL'); setInterval(() => undefined, 1000);",
};

describeWithServices(["docker"], "docker runtime", ({ DINP_TEST_DOCKER_SOCKET }) => {
  let stage: DockerStage;
  const harnesses: DockerHarness[] = [];

  beforeAll(async () => {
    stage = await DockerStage.start(DINP_TEST_DOCKER_SOCKET);
  }, 300_000);

  afterEach(async () => {
    for (const harness of harnesses.splice(0)) await harness.dispose();
  });

  afterAll(() => stage.dispose());

  const make = async (settings: DockerSettings = {}): Promise<DockerHarness> => {
    const harness = await DockerHarness.make(stage, settings);
    harnesses.push(harness);
    return harness;
  };

  const containersOf = ({ clusterId }: DockerHarness) =>
    stage.client.containers(`io.dinp.cluster=${clusterId}`);

  it("takes all rights from an app that it does not need", async () => {
    const harness = await make();
    const spec = await harness.spec(await harness.image(files), { cpuMillis: 250 });
    await harness.runtime.start(spec);
    const rights = await rightsOf(harness, spec);
    expect(rights).toEqual({
      uid: 65532,
      capabilities: "0".repeat(48),
      noNewPrivileges: "1",
      writes: ["/tmp/x", "/home/dinp/x"],
    });
    const [container] = await containersOf(harness);
    const inspected = await stage.client.ask("GET", `/containers/${container?.Id ?? ""}/json`);
    expect(inspected).toMatchObject({
      Name: `/dinp-${harness.clusterId}-${spec.instanceId}`,
      HostConfig: {
        Memory: 128 * 1024 ** 2,
        MemorySwap: 128 * 1024 ** 2,
        CpuShares: 256,
        NanoCpus: 1_000_000_000,
        PidsLimit: 512,
        CapDrop: ["ALL"],
        SecurityOpt: ["no-new-privileges"],
        ReadonlyRootfs: true,
        Privileged: false,
        RestartPolicy: { Name: "no" },
        LogConfig: { Type: "json-file", Config: { "max-file": "2" } },
        PortBindings: {
          [`${String(spec.port)}/tcp`]: [{ HostIp: "127.0.0.1", HostPort: String(spec.port) }],
        },
      },
    });
  });

  it("gives an app what it is granted, and nothing to others", async () => {
    const harness = await make();
    const image = await harness.image(files);
    const capabilities = ["NET_RAW"];
    const grants = { user: "0", capabilities, writableRoot: true, newPrivileges: true, pidsMax: 99 };
    const trusted = await harness.spec(image, { grants });
    const other = await harness.spec(image);
    await harness.runtime.start(trusted);
    await harness.runtime.start(other);
    const rights = await rightsOf(harness, trusted);
    expect(rights).toMatchObject({ uid: 0, noNewPrivileges: "0" });
    expect(rights.capabilities).toBe("0000000000002000".repeat(3));
    expect(rights.writes).toEqual(["/x", "/app/x", "/tmp/x", "/home/dinp/x"]);
    expect(await rightsOf(harness, other)).toMatchObject({ uid: 65532, noNewPrivileges: "1" });
  });

  it("gives what its owner says instead of what is granted", async () => {
    const harness = await make({ hardening: ({ grants }) => (grants === undefined ? {} : { user: "77" }) });
    const image = await harness.image(files);
    const spec = await harness.spec(image, { grants: { user: "0" } });
    await harness.runtime.start(spec);
    expect(await rightsOf(harness, spec)).toMatchObject({ uid: 77, noNewPrivileges: "1" });
  });

  it("runs as the user that the image names, unless that is root", async () => {
    const harness = await make();
    for (const [user, uid] of [
      ["1234:1234", 1234],
      ["0:0", 65532],
      ["root", 65532],
    ] as const) {
      const image = await stage.makeImage(files, { User: user });
      await harness.runtime.prepareImage(image);
      const spec = await harness.spec(image);
      await harness.runtime.start(spec);
      expect(await rightsOf(harness, spec)).toMatchObject({ uid });
    }
  });

  it("tells an exit code above 128 from a signal", async () => {
    const harness = await make();
    const image = await harness.image(files);
    const byCode = await harness.spec(image, { command: ["node", "code.js", "137"] });
    const bySignal = await harness.spec(image, { command: ["node", "by-signal.js"] });
    await harness.runtime.start(byCode);
    await harness.runtime.start(bySignal);
    const ended = await untilAllExited(harness);
    expect(ended.map(({ exit }) => [exit?.cause, exit?.code, exit?.signal])).toEqual([
      ["exited", 137, null],
      ["exited", null, "SIGKILL"],
    ]);
    const events: ExecEvent[] = [];
    const running = await harness.spec(image);
    await harness.runtime.start(running);
    const options = { command: ["node", "code.js", "137"], signal: new AbortController().signal };
    for await (const event of harness.runtime.exec(running.instanceId, options)) events.push(event);
    for await (const event of harness.runtime.run({ ...running, instanceId: "once" }, options))
      events.push(event);
    const end = { type: "exit", code: 137, signal: null, message: null };
    expect(events).toEqual([end, end]);
  });

  it("says why a command cannot be executed: nothing there, not allowed, nothing asked for", async () => {
    const harness = await make();
    const image = await harness.image(files);
    for (const [command, message] of [
      [["no-such-program"], /"no-such-program" is not in the image/],
      [["/app/server.js"], /"\/app\/server.js" may not be executed/],
      [[], /The command is empty/],
      [["node", "with\0nul"], /NUL/],
    ] as const) {
      const started = await harness.runtime.start(await harness.spec(image, { command }));
      expect(started).toMatchObject({ state: "exited", exit: { cause: "start", code: null } });
      expect(started.exit?.message).toMatch(message);
    }
    const before = await harness.runtime.list();
    expect(before).toHaveLength(4);
    expect(await (await harness.reopen()).list()).toEqual(before);
  });

  it("keeps its own lines out of logs, and cuts long ones", async () => {
    const harness = await make();
    const image = await harness.image(files);
    const spec = await harness.spec(image, { command: ["node", "long.js"] });
    await harness.runtime.start(spec);
    const [ended] = await untilAllExited(harness);
    const lines: string[] = [];
    for await (const { text } of harness.runtime.logs(spec.instanceId)) lines.push(text);
    expect(lines.join("")).toBe(`${"x".repeat(40_000)}no end of line`);
    expect(Math.max(...lines.map(({ length }) => length))).toBeLessThanOrEqual(16 * 1024);
    expect(ended?.exit?.logTail.at(-1)).toBe("no end of line");
  });

  it("refuses the name of a container that is not the cluster's, and leaves that alone", async () => {
    const harness = await make();
    const image = await harness.image(files);
    const spec = await harness.spec(image);
    const name = `dinp-${harness.clusterId}-${spec.instanceId}`;
    const body = { Image: `dinp-${harness.clusterId}/apps/test:${image.digest.slice(7)}`, Cmd: ["x"] };
    const { Id } = (await stage.client.ask("POST", `/containers/create?name=${name}`, body)) as {
      Id: string;
    };
    // With all of our labels but another name.
    const copy = await harness.spec(image);
    await harness.runtime.start(copy);
    const [container] = await containersOf(harness);
    const labelled = { ...body, Labels: container?.Labels };
    const copied = (await stage.client.ask("POST", "/containers/create?name=copy-of-labels", labelled)) as {
      Id: string;
    };
    try {
      await expect(harness.runtime.start(spec)).rejects.toMatchObject({ code: "DINP_CONFLICT" });
      await harness.runtime.stop(spec.instanceId, { graceMs: 0 });
      await harness.runtime.remove(spec.instanceId);
      await harness.runtime.remove(copy.instanceId);
      await harness.reopen();
      expect(await harness.runtime.list()).toEqual([]);
      for (const id of [Id, copied.Id]) await stage.client.ask("GET", `/containers/${id}/json`);
    } finally {
      for (const id of [Id, copied.Id]) await stage.client.ask("DELETE", `/containers/${id}?force=true`);
    }
  });

  it("lists an instance whose port is taken as one that has ended, over its own restart", async () => {
    const harness = await make();
    const image = await harness.image(files);
    const spec = await harness.spec(image);
    const release = await occupy(spec.port);
    const started = await harness.runtime.start(spec);
    expect(started).toMatchObject({ state: "exited", exit: { cause: "start" } });
    expect(started.exit?.message).toContain(String(spec.port));
    await release();
    expect(await harness.runtime.list()).toEqual([started]);
    await harness.reopen();
    expect(await harness.runtime.list()).toEqual([started]);
    // An id runs once, and its port is free for the next.
    expect(await harness.runtime.start(spec)).toEqual(started);
    await harness.runtime.stop(spec.instanceId, { graceMs: 0 });
    expect(await harness.runtime.stats(spec.instanceId)).toBeNull();
    await drain(harness.runtime.logs(spec.instanceId));
    await harness.runtime.remove(spec.instanceId);
    const next = await harness.spec(image, { port: spec.port });
    expect(await harness.runtime.start(next)).toMatchObject({ state: "running" });
    expect(await answerOf(next.port)).toContain(next.instanceId);
  });

  it("starts what was created and not started, or removes it when it opens: it ran at most once", async () => {
    const harness = await make();
    const spec = await harness.spec(await harness.image(files));
    await harness.runtime.start(spec);
    const [container] = await containersOf(harness);
    const { Config, HostConfig } = (await stage.client.ask(
      "GET",
      `/containers/${container?.Id ?? ""}/json`,
    )) as { readonly Config: object; readonly HostConfig: object };
    await harness.runtime.remove(spec.instanceId);
    const create = (): Promise<unknown> =>
      stage.client.ask("POST", `/containers/create?name=dinp-${harness.clusterId}-${spec.instanceId}`, {
        ...Config,
        HostConfig,
      });
    await create();
    expect(await harness.runtime.list()).toEqual([]);
    expect(await harness.runtime.start(spec)).toMatchObject({ state: "running" });
    await harness.runtime.remove(spec.instanceId);
    await create();
    await harness.reopen();
    expect(await containersOf(harness)).toEqual([]);
    expect(await harness.runtime.start(spec)).toMatchObject({ state: "running" });
  });

  it("ends the commands and one-offs of a run that was killed", async () => {
    const harness = await make();
    const spec = await harness.spec(await harness.image(files));
    await harness.runtime.start(spec);
    await answerOf(spec.port);
    const options = { command: ["node", "talkative.js"], signal: new AbortController().signal };
    const commands = [
      harness.runtime.exec(spec.instanceId, options),
      harness.runtime.run({ ...spec, instanceId: "once" }, options),
    ].map((events) => events[Symbol.asyncIterator]());
    for (const command of commands) await command.next();
    expect(await containersOf(harness)).toHaveLength(2);
    // The first run is gone in a way that lets it do nothing any more.
    harness.proxy.set("refuse");
    const lost = harness.runtime;
    const next = harness.unopenedPast();
    await next.open();
    await eventually(async () => (await containersOf(harness)).length === 1);
    expect(await processesOf(harness, spec)).toEqual(["/.dinp/init", "node server.js"]);
    await next.close();
    harness.proxy.set("pass");
    for (const command of commands) await command.return?.().catch(() => undefined);
    expect(lost).toBe(harness.runtime);
  });

  it("keeps, when it prunes, what is not the cluster's", async () => {
    const [one, two] = [await make(), await make()];
    const image = await one.image({ "a.txt": "a" });
    await two.runtime.prepareImage(image);
    const id = await imageId(`dinp-${one.clusterId}/apps/test:${image.digest.slice(7)}`);
    await stage.client.ask("POST", `/images/${id}/tag?repo=somebody/else&tag=${one.clusterId}`);
    await one.runtime.pruneImages([]);
    const spec = await two.spec(image, { command: ["node", "none"] });
    await two.runtime.start(spec);
    await two.runtime.remove(spec.instanceId);
    await two.runtime.pruneImages([]);
    expect(await imageId(`somebody/else:${one.clusterId}`)).toBe(id);
    await stage.client.ask("DELETE", `/images/somebody%2Felse%3A${one.clusterId}`);
    await expect(one.runtime.start(await one.spec(image))).rejects.toMatchObject({
      code: "DINP_IMAGE_NOT_FOUND",
    });
  });

  it("makes the volume with its first process anew when somebody removed it", async () => {
    const harness = await make();
    const image = await harness.image(files);
    const filters = encodeURIComponent(JSON.stringify({ label: [`io.dinp.cluster=${harness.clusterId}`] }));
    const { Volumes } = (await stage.client.ask("GET", `/volumes?filters=${filters}`)) as {
      readonly Volumes: readonly { readonly Name: string }[];
    };
    expect(Volumes).toHaveLength(1);
    await stage.client.ask("DELETE", `/volumes/${Volumes[0]?.Name ?? ""}`);
    const spec = await harness.spec(image);
    expect(await harness.runtime.start(spec)).toMatchObject({ state: "running" });
    expect(await answerOf(spec.port)).toContain(spec.instanceId);
  });

  it("says of an engine that hangs that it cannot tell, in time, for every call", async () => {
    const harness = await make({ engineTimeoutMs: 15_000 });
    const image = await harness.image(files);
    const spec = await harness.spec(image);
    await harness.runtime.start(spec);
    await answerOf(spec.port);
    const before = await harness.runtime.list();
    const other = await harness.makeImage({});
    harness.proxy.set("hang");
    const { runtime } = harness;
    const never = new AbortController().signal;
    const calls: readonly Promise<unknown>[] = [
      runtime.list(),
      runtime.start(spec),
      runtime.start({ ...spec, instanceId: "i-new" }),
      runtime.stop(spec.instanceId, { graceMs: 0 }),
      runtime.remove(spec.instanceId),
      runtime.stats(spec.instanceId),
      runtime.prepareImage(other),
      runtime.pruneImages([]),
      drain(runtime.logs(spec.instanceId)),
      drain(runtime.exec(spec.instanceId, { command: ["node"], signal: never })),
      drain(runtime.run({ ...spec, instanceId: "once" }, { command: ["node"], signal: never })),
    ];
    for (const outcome of await Promise.allSettled(calls)) {
      expect(outcome).toMatchObject({
        status: "rejected",
        reason: { code: "DINP_UNAVAILABLE", retryable: true },
      });
    }
    harness.proxy.set("pass");
    expect(await harness.runtime.list()).toEqual(before);
    expect(await answerOf(spec.port)).toContain(spec.instanceId);
  });

  it("ends a command although the engine does not finish telling of its end", async () => {
    const harness = await make({ engineTimeoutMs: 8_000 });
    const spec = await harness.spec(await harness.image(files));
    await harness.runtime.start(spec);
    const abort = new AbortController();
    const command = ["node", "-e", "console.log('here'); setInterval(() => {}, 1000)"];
    const events = harness.runtime.exec(spec.instanceId, { command, signal: abort.signal });
    const reader = events[Symbol.asyncIterator]();
    await reader.next();
    harness.proxy.leaveUnfinished(/^POST \S+\/exec\/\S+\/start /);
    abort.abort();
    const rest = async (): Promise<void> => {
      while ((await reader.next()).done !== true);
    };
    await expect(rest()).rejects.toMatchObject({ code: "DINP_ABORTED" });
  });

  it("tells of what happened while the engine was away", async () => {
    const harness = await make();
    const spec = await harness.spec(await harness.image(files));
    await harness.runtime.start(spec);
    await answerOf(spec.port);
    const abort = new AbortController();
    const told = new Set<string>();
    const watching = (async () => {
      for await (const id of harness.runtime.watch({ signal: abort.signal })) told.add(id);
    })();
    await harness.runtime.list();
    harness.proxy.set("refuse");
    await fetch(`http://127.0.0.1:${String(spec.port)}/exit`).catch(() => null);
    await eventually(async () => (await containersOf(harness))[0]?.State === "exited");
    told.clear();
    harness.proxy.set("pass");
    await eventually(() => told.has(spec.instanceId));
    abort.abort();
    await watching;
  });

  it("starts and stops 50 at the same time, and leaves nothing", { timeout: 400_000 }, async () => {
    const harness = await make();
    const image = await harness.image({ "server.js": "setInterval(() => undefined, 1000);" });
    const specs: InstanceSpec[] = [];
    for (let count = 0; count < 50; count += 1)
      specs.push(await harness.spec(image, { memoryMb: 64, cpuMillis: 100 }));
    await Promise.all(specs.map((spec) => harness.runtime.start(spec)));
    expect((await harness.runtime.list()).map(({ state }) => state)).toEqual(specs.map(() => "running"));
    await Promise.all(specs.map(({ instanceId }) => harness.runtime.stop(instanceId, { graceMs: 0 })));
    expect((await harness.runtime.list()).map(({ exit }) => exit?.cause)).toEqual(specs.map(() => "stopped"));
    await Promise.all(specs.map(({ instanceId }) => harness.runtime.remove(instanceId)));
    expect(await harness.runtime.list()).toEqual([]);
    expect(await containersOf(harness)).toEqual([]);
    // The engine's events alone are still listened to.
    await eventually(() => harness.proxy.open === 1);
    await harness.runtime.close();
    await eventually(() => harness.proxy.open === 0);
  });

  it("has its driver render no request with what else is open: that would cost seconds of processor time", async () => {
    const harness = await make();
    const rendered: string[] = [];
    const stop = listenToDriver((text) => rendered.push(text));
    onTestFinished(stop);
    await Promise.all(Array.from({ length: 20 }, () => harness.runtime.list()));
    const requests = rendered.filter((text) => text.startsWith("Sending"));
    expect(requests.length).toBeGreaterThanOrEqual(20);
    for (const text of requests) expect(text.length).toBeLessThan(2_000);
  });

  async function imageId(name: string): Promise<string> {
    const image = await stage.client.ask("GET", `/images/${encodeURIComponent(name)}/json`);
    return (image as { readonly Id: string }).Id;
  }

  async function processesOf(harness: DockerHarness, { instanceId }: InstanceSpec): Promise<string[]> {
    const name = `dinp-${harness.clusterId}-${instanceId}`;
    const top = (await stage.client.ask("GET", `/containers/${name}/top`)) as {
      readonly Titles: readonly string[];
      readonly Processes: readonly (readonly string[])[];
    };
    const commands = top.Processes.map((fields) => fields[top.Titles.indexOf("CMD")] ?? "");
    return commands.map((command) => (command.startsWith("/.dinp/init") ? "/.dinp/init" : command)).sort();
  }
});

/** The driver's debug messages, until the function that is returned is called. */
function listenToDriver(heard: (text: string) => void): () => void {
  const toDriver = createRequire(createRequire(import.meta.url).resolve("dockerode"));
  const debug = createRequire(toDriver.resolve("docker-modem"))("debug") as {
    log: (format: string, ...values: readonly unknown[]) => void;
    enable(names: string): void;
    disable(): void;
  };
  const { log } = debug;
  debug.log = (text, ...values) => {
    // Before the text stand the time and the name of the driver.
    heard(format(text, ...values).replace(/^.*?modem /, ""));
  };
  debug.enable("modem");
  return () => {
    debug.disable();
    debug.log = log;
  };
}

async function rightsOf({ runtime }: DockerHarness, { instanceId }: InstanceSpec): Promise<Rights> {
  const pieces: Uint8Array[] = [];
  const options = { command: ["node", "rights.js"], signal: new AbortController().signal };
  for await (const event of runtime.exec(instanceId, options))
    if (event.type === "output") pieces.push(event.bytes);
  return JSON.parse(Buffer.concat(pieces).toString()) as Rights;
}

async function untilAllExited({ runtime }: DockerHarness): Promise<readonly RuntimeInstance[]> {
  let listed: readonly RuntimeInstance[] = [];
  await eventually(async () => {
    listed = await runtime.list();
    return listed.every(({ state }) => state === "exited");
  });
  return listed;
}
