import { EventEmitter, once } from "node:events";
import { readdir, readFile } from "node:fs/promises";
import { createClient } from "@dinp/core/client";
import { describe, expect, it } from "vitest";
import { webApp } from "./platform-fixture.js";
import type { Capture } from "./streams.js";
import { usePlatform } from "./use-platform.js";

const { platform, dinp, ok } = usePlatform(async () => {
  const manifest = "command: [node, server.js]\ncpu: 0.01\nmemory: 96M\nenv: {COLOR: ultramarine}\n";
  await platform.files("shop", { "server.js": webApp, "dinp.yaml": manifest });
  await ok(["push", "shop"]);
});

async function instanceId(): Promise<string> {
  const { out } = await dinp(["app", "shop", "--json"]);
  return (JSON.parse(out) as { instanceList: { id: string }[] }).instanceList[0]?.id ?? "";
}

/** Processes that have this word in their command line. */
async function processesNamed(word: string): Promise<string[]> {
  const found: string[] = [];
  for (const pid of await readdir("/proc")) {
    const line = /^\d+$/.test(pid) ? await readFile(`/proc/${pid}/cmdline`, "latin1").catch(() => "") : "";
    if (line.split("\0").includes(word)) found.push(pid);
  }
  return found;
}

async function shown(stream: Capture, text: string): Promise<void> {
  while (!stream.text.includes(text)) await once(stream, "data");
}

const waiting = (word: string): string[] => [
  "--",
  "node",
  "-e",
  "console.log('begun'); setInterval(() => undefined, 1000)",
  word,
];

describe("run and exec", () => {
  it("pass output, exit code and input through", async () => {
    const script = "process.stdin.pipe(process.stdout); console.error('aside'); process.exitCode = 3";
    for (const kind of ["run", "exec"]) {
      const run = await dinp([kind, "shop", "--", "node", "-e", script], { input: "piped\u001b[31m in" });
      expect([run.code, run.out, run.err]).toEqual([3, "piped\u001b[31m in", "aside\n"]);
    }
  });

  it("have the app's environment; a one-off has no port, a command its instance's", async () => {
    const script = "console.log(process.env.COLOR, process.env.PORT ?? 'none', process.env.DINP_INSTANCE_ID)";
    const apart = await dinp(["run", "shop", "--", "node", "-e", script]);
    expect(apart.out).toMatch(/^ultramarine none run-[0-9a-z]+\n$/);
    const id = await instanceId();
    for (const target of ["shop", id, id.slice(0, 8)]) {
      const beside = await dinp(["exec", target, "--", "node", "-e", script]);
      expect(beside.out, beside.err).toMatch(new RegExp(`^ultramarine \\d+ ${id}\n$`));
    }
  });

  it("give options after -- to the command, and 128 + its number for a signal", async () => {
    const run = await dinp(["run", "shop", "--", "node", "--print", "1 + 1"]);
    expect([run.code, run.out]).toEqual([0, "2\n"]);
    const killed = await dinp(["run", "shop", "--", "node", "-e", "process.kill(process.pid, 'SIGKILL')"]);
    expect(killed.code).toBe(137);
  });

  it("say what is wrong, and what to do", async () => {
    const missing = await dinp(["run", "shop", "--", "no-such-program"]);
    expect(missing.code).toBe(1);
    expect(missing.err).toContain('The program "no-such-program" was not found');
    expect((await dinp(["run", "nobody", "--", "true"])).code).toBe(5);
    expect((await dinp(["exec", "i-nobody", "--", "true"])).code).toBe(5);
    const release = await dinp(["run", "shop", "--release", "9", "--", "true"]);
    expect(release.err).toContain('The app "shop" has no release 9.');
    const long = await dinp(["run", "shop", "--", "cat"], { input: "x".repeat(1_048_577) });
    expect([long.code, long.err]).toEqual([
      2,
      expect.stringContaining("longer than 1048576 bytes") as string,
    ]);
    expect((await dinp(["exec", "shop"])).code).toBe(2);
  });

  it("take an input of exactly 1 MiB", async () => {
    const run = await dinp(["run", "shop", "--", "wc", "-c"], { input: "x".repeat(1_048_576) });
    expect(run.out.trim(), run.err).toBe("1048576");
  });

  it("end what runs on Ctrl-C, there too", async () => {
    for (const kind of ["run", "exec"]) {
      const signals = new EventEmitter();
      const word = `word-${kind}-${String(process.pid)}`;
      const run = await dinp([kind, "shop", ...waiting(word)], {
        signals,
        watch: ({ stdout }) => {
          void shown(stdout, "begun").then(() => signals.emit("SIGINT"));
        },
      });
      expect(run.code).toBe(130);
      await expect.poll(() => processesNamed(word), { timeout: 60_000 }).toEqual([]);
    }
  });

  it("end what runs when its client's connection goes, and when its time is over", async () => {
    const client = createClient({ url: platform.apiUrl, token: platform.token });
    const word = `word-gone-${String(process.pid)}`;
    const command = waiting(word).slice(1);
    for await (const event of client.run("shop", { command })) {
      expect(event.type).toBe("output");
      expect(await processesNamed(word)).toHaveLength(1);
      break;
    }
    await expect.poll(() => processesNamed(word), { timeout: 60_000 }).toEqual([]);
    const late = await dinp(["run", "shop", "--timeout", "1", ...waiting(word)]);
    expect(late.err).toContain("The command was ended after 1 s, its time-out.");
    expect(late.code).toBe(124);
    expect(await processesNamed(word)).toEqual([]);
  });

  it("say that the end is not known when the answer breaks off, and where it is told", async () => {
    const fetch: typeof globalThis.fetch = async (input, init) => {
      const answer = await globalThis.fetch(input, init);
      if (answer.headers.get("content-type") !== "application/x-ndjson") return answer;
      await answer.body?.cancel();
      const line = `${JSON.stringify({ type: "output", stream: "stdout", data: btoa("part") })}\n`;
      const body = new ReadableStream({
        start: (controller) => {
          controller.enqueue(new TextEncoder().encode(line));
        },
        pull: (controller) => {
          controller.error(new TypeError("terminated"));
        },
      });
      return new Response(body, answer);
    };
    const run = await dinp(["run", "shop", "--", "true"], { options: { fetch } });
    expect([run.code, run.out]).toEqual([4, "part"]);
    expect(run.err).toMatch(/^error: How the command of shop ended is not known.*\nhint: "dinp events shop"/);
  });

  it("ask for -- before a command with options of its own", async () => {
    const run = await dinp(["run", "shop", "ls", "-la"]);
    expect(run.code).toBe(2);
    expect(run.err).toContain("hint: Write -- before the command: dinp run shop -- COMMAND\n");
  });

  it("are written down with who and what, without values of the environment or passwords", async () => {
    const words = [
      "echo",
      "ultramarine",
      "--password",
      "hunter2",
      "postgres://u:pw4711@db/x",
      "API_KEY=k4711",
    ];
    await dinp(["run", "shop", "--", ...words]);
    const { out } = await dinp(["events", "shop", "--json"]);
    const { items } = JSON.parse(out) as {
      items: { type: string; actor: string; message: string; instanceId: string | null }[];
    };
    const event = items.filter(({ type }) => type === "run.started").at(-1);
    expect(event?.actor).toBe("tester");
    expect(event?.message).toContain("echo $COLOR --password *** postgres://u:***@db/x API_KEY=***");
    // Others that ended with their connections may be written down late.
    const [end] = items.filter(
      ({ type, instanceId }) => type === "run.ended" && instanceId === event?.instanceId,
    );
    expect(end?.message).toMatch(/^run as a one-off of release 1 ended after [\d.]+ s: exit code 0$/);
    expect(out).not.toMatch(/ultramarine|hunter2|pw4711|k4711/);
  });

  it("are refused with numbers when no node has room", async () => {
    await platform.files("large", {
      "server.js": webApp,
      "dinp.yaml": "command: [node, server.js]\ninstances: 0\ncpu: 0.01\nmemory: 900G\n",
    });
    await dinp(["push", "large", "--no-wait"]);
    const run = await dinp(["run", "large", "--", "true"]);
    expect(run.code).toBe(1);
    expect(run.err).toMatch(/no node can take it \(node-1: \d+ MB of memory free, 921600 needed\)/);
  });

  it("are bounded in number for each app", async () => {
    const client = createClient({ url: platform.apiUrl, token: platform.token });
    const end = new AbortController();
    const command = waiting(`word-many-${String(process.pid)}`).slice(1);
    const readers = Array.from({ length: 8 }, () =>
      client.exec("shop", { command }, { signal: end.signal })[Symbol.asyncIterator](),
    );
    await Promise.all(readers.map((reader) => reader.next()));
    const more = await dinp(["exec", "shop", "--", "true"]);
    expect(more.err).toContain('8 commands of "shop" run, which is as many as may.');
    end.abort();
    await Promise.all(readers.map((reader) => reader.next()));
    await expect
      .poll(async () => (await dinp(["exec", "shop", "--", "true"])).code, { timeout: 60_000 })
      .toBe(0);
  });
});
