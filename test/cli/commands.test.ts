import { EventEmitter, once } from "node:events";
import { readFile, stat, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { pipeline } from "node:stream/promises";
import { createWriteStream } from "node:fs";
import type { AppDetail } from "@dinp/core/client";
import { packDirectory } from "@dinp/core/tar";
import { describe, expect, it } from "vitest";
import { webApp } from "./platform-fixture.js";
import { type CliRun } from "./run-cli.js";
import type { Capture } from "./streams.js";
import { usePlatform } from "./use-platform.js";

// Small, so that all apps of this file fit on one machine.
const COMMAND = "command: [node, server.js]\ncpu: 0.01\nmemory: 96M\n";
const crashingApp = `console.log("starting \\u001B[31mred"); console.error("no DATABASE_URL"); process.exit(3);`;
const deafApp = `console.log("up, but deaf"); setInterval(() => undefined, 1000);`;

const { platform, dinp, ok } = usePlatform();

/** Makes a folder with an app and pushes it under the folder's name. */
async function pushed(name: string, server = webApp, ...flags: string[]): Promise<CliRun> {
  await platform.files(name, { "server.js": server, "dinp.yaml": COMMAND });
  return ok(["push", name, ...flags]);
}

function host(name: string): string {
  return `${name}.apps.localhost`;
}

async function detailOf(name: string): Promise<AppDetail> {
  const { out } = await ok(["app", name, "--json"]);
  return JSON.parse(out) as AppDetail;
}

/** Resolves when the stream has shown this text. */
async function shown(stream: Capture, text: string): Promise<void> {
  while (!stream.text.includes(text)) await once(stream, "data");
}

describe("push", () => {
  it("ends when the app answers, prints only its URL on standard output, and says where its name comes from", async () => {
    const run = await pushed("first-app");
    expect(run.out).toBe(`http://first-app.apps.localhost:${new URL(platform.routerUrl).port}/\n`);
    expect(run.err).toMatch(
      /^Pushing first-app to first-app \(named after the folder's name; --app gives another\)\n/,
    );
    expect(run.err).toMatch(/Uploaded 2 files, .*\nImage sha256:[0-9a-f]{12}: template node, 2 files/);
    expect(run.err).toContain("Command: node server.js\n");
    expect(run.err).toMatch(/instance [0-9a-z]{8} on node-1 ready \(1 of 1\)\n/);
    expect(run.err).toContain("Release 1 of first-app is complete: 1 of 1 instance ready");
    expect((await platform.get(host("first-app"))).status).toBe(200);
  });

  it("takes its settings from flags, and the name from dinp.yaml", async () => {
    const manifest = `app: from-yaml\n${COMMAND}env: {COLOR: blue}\n`;
    await platform.files("settings", { "server.js": webApp, "dinp.yaml": manifest });
    const flags = "--instances 2 --memory 64M --cpu 50m --env COLOR=red --env OTHER=x=y --note because";
    const run = await ok(["push", "settings", ...flags.split(" ")]);
    expect(run.err).toContain("to from-yaml (named in dinp.yaml)");
    expect(await detailOf("from-yaml")).toMatchObject({
      instances: 2,
      ready: 2,
      memoryMb: 64,
      cpuMillis: 50,
    });
    expect((await platform.get(host("from-yaml"))).body).toContain('"color":"red"');
    const releases = await ok(["releases", "from-yaml"]);
    expect(releases.out).toMatch(/1 +current +complete .*because/);
  });

  it("says when nothing changed, and makes no release", async () => {
    await pushed("same");
    const again = await ok(["push", "same"]);
    expect(again.err).toContain("Nothing changed: release 1 of same is this already");
    expect(again.out).toContain("http://same.apps.localhost");
  });

  it("sends an archive as it is", async () => {
    const source = await platform.files("packed", { "server.js": webApp, "dinp.yaml": COMMAND });
    const archive = join(platform.folder, "From Archive.tar.gz");
    await pipeline((await packDirectory(source)).bytes, createWriteStream(archive));
    const run = await ok(["push", "From Archive.tar.gz"]);
    expect(run.err).toContain("to from-archive (named after the file's name");
    expect((await platform.get(host("from-archive"))).status).toBe(200);
  });

  it("does not release an archive to another app than it names", async () => {
    const manifest = `app: mine\n${COMMAND}`;
    const source = await platform.files("named", { "server.js": webApp, "dinp.yaml": manifest });
    await pipeline(
      (await packDirectory(source)).bytes,
      createWriteStream(join(platform.folder, "other.tgz")),
    );
    const run = await dinp(["push", "other.tgz"]);
    expect(run.code).toBe(2);
    expect(run.err).toMatch(
      /names the app "mine", but this push went to "other"; nothing was released\.\nhint: .*--app mine/,
    );
    expect((await dinp(["app", "other"])).code).toBe(5);
  });

  it("fails with the reason, the app's last lines and what to do, and the older release goes on", async () => {
    await pushed("breaks");
    await platform.files("breaks", { "server.js": crashingApp });
    const run = await dinp(["push", "breaks"]);
    expect(run.code).toBe(1);
    expect(run.out).toBe("");
    expect(run.err).toMatch(/on node-1 ended: .*code 3/);
    expect(run.err).toContain("The last lines of its log:\n  | starting red\n  | no DATABASE_URL\n");
    expect(run.err).toMatch(/error: Release 2 of breaks failed: .*code 3.*\nhint: "dinp logs breaks"/);
    expect(run.err).toMatch(/hint: Release 1 still serves breaks; "dinp rollback breaks 1"/);
    expect(run.err).not.toMatch(/\p{Cc}(?<!\n)/u);
    expect((await platform.get(host("breaks"))).status).toBe(200);

    const page = await ok(["app", "breaks"]);
    expect(page.out).toMatch(/Problems\n.*Release 2 failed: .*code 3/s);
    expect(page.out).toContain("    | no DATABASE_URL");
    expect(page.out).toMatch(/What to do\n.*dinp logs breaks .*\n.*\n? *dinp rollback breaks /);
    const back = await ok(["rollback", "breaks"]);
    expect(back.err).toMatch(/Release 3 of breaks: rollback to 1/);
  });

  it("that nobody can start says which program is missing", async () => {
    await platform.files("cobol", {
      "main.cob": "x",
      "dinp.yaml": "template: node\ncommand: [java-of-tomorrow, x]\n",
    });
    const run = await dinp(["push", "cobol", "--timeout", "20"]);
    expect(run.code).toBe(1);
    expect(run.err).toContain("java-of-tomorrow");
  });

  it("that never listens says where it must", async () => {
    const startup = `${COMMAND}check:\n  startup: 1s\n`;
    await platform.files("deaf", { "server.js": deafApp, "dinp.yaml": startup });
    const run = await dinp(["push", "deaf"]);
    expect(run.code).toBe(1);
    expect(run.err).toMatch(
      /error: Release 1 of deaf failed: not ready within 1 s .*\nhint: It must listen on the port in PORT/,
    );
    await ok(["stop", "deaf"]);
  });

  it("that writes to its image's files says where it may", async () => {
    const text = "Error: EROFS: read-only file system, open '/app/log.txt'";
    await platform.files("writer", {
      "server.js": `console.error(${JSON.stringify(text)}); process.exit(1)`,
    });
    const run = await dinp(["push", "writer"]);
    expect(run.code).toBe(1);
    expect(run.err).toMatch(
      /hint: The image's files .* \$HOME or \/tmp, .*"dinp grants set writer --writable-root"/,
    );
    expect(run.err).not.toContain("the port in PORT");
    await ok(["stop", "writer"]);
  });

  it("says that it leaves a Dockerfile out, unless a template was asked for", async () => {
    const dockerfile = { Dockerfile: "FROM node\n" };
    await platform.files("whale", { "server.js": webApp, ...dockerfile });
    const note = "Its Dockerfile is not used: --template dockerfile builds by it\n";
    expect((await ok(["build", "whale"])).err).toContain(note);
    expect((await ok(["push", "whale"])).err).toContain(note);
    expect((await ok(["build", "whale", "--template", "node"])).err).not.toContain("Dockerfile");
    await platform.files("chosen", { "server.js": webApp, "dinp.yaml": "template: node\n", ...dockerfile });
    expect((await ok(["build", "chosen"])).err).not.toContain("Dockerfile");
    await ok(["stop", "whale"]);
  });

  it("without a wait returns at once and says how to look", async () => {
    await platform.files("nowait", { "server.js": deafApp, "dinp.yaml": COMMAND });
    const run = await ok(["push", "nowait", "--no-wait"]);
    expect(run.out).toBe("");
    expect(run.err).toContain('Not waiting for it. "dinp app nowait" shows how far it is.');
    await ok(["stop", "nowait"]);
  });

  it("stops waiting when the time is over", async () => {
    await platform.files("slow", { "server.js": deafApp, "dinp.yaml": COMMAND });
    const run = await dinp(["push", "slow", "--timeout", "500ms"]);
    expect(run.code).toBe(1);
    expect(run.err).toMatch(
      /error: Not done after 0\.5 s; the rollout of release 1 of slow goes on\.\nhint: "dinp app slow"/,
    );
    await ok(["stop", "slow"]);
  });

  it("stops waiting when no node has room for it, and says so", async () => {
    await platform.files("giant", { "server.js": webApp, "dinp.yaml": COMMAND });
    const start = Date.now();
    // A clock that runs fast: giving up takes a while.
    const now = (): number => start + (Date.now() - start) * 10;
    const run = await dinp(["push", "giant", "--memory", "1000G", "--timeout", "3600"], { options: { now } });
    expect(run.code).toBe(1);
    expect(run.err).toMatch(
      /error: giant has 0 of 1 instance ready\. .*no node can take it.*\nhint: "dinp nodes"/,
    );
    expect((await ok(["app", "giant"])).out).toMatch(/Problems\n.*no node can take it/);
    await ok(["stop", "giant"]);
  });

  it("also when an older release serves, which goes on", async () => {
    await platform.files("growing", { "server.js": webApp, "dinp.yaml": COMMAND });
    await ok(["push", "growing"]);
    const start = Date.now();
    const now = (): number => start + (Date.now() - start) * 10;
    const run = await dinp(["push", "growing", "--memory", "1000G", "--timeout", "3600"], {
      options: { now },
    });
    expect(run.code).toBe(1);
    expect(run.err).toMatch(/\n {2}no-capacity: release 2 needs 1 more: no node can take it/);
    expect(run.err).toMatch(
      /error: growing has 1 of 1 instance ready\. no-capacity: release 2 .*\nhint: "dinp nodes"/,
    );
    expect((await ok(["app", "growing"])).out).toMatch(/Problems\n.*no node can take it/);
    // What fits again is rolled out, and nothing is told of what did not.
    await ok(["push", "growing", "--memory", "128M"]);
    expect((await ok(["app", "growing"])).out).not.toContain("Problems");
    await ok(["stop", "growing"]);
  });

  it("interrupted with Ctrl-C ends with 130, says that the rollout goes on, and leaves no listener", async () => {
    await platform.files("patience", { "server.js": deafApp, "dinp.yaml": COMMAND });
    const signals = new EventEmitter();
    const run = await dinp(["push", "patience"], {
      signals,
      watch: ({ stderr }) => {
        void shown(stderr, "on node-1 ").then(() => signals.emit("SIGINT"));
      },
    });
    expect(run.code).toBe(130);
    expect(run.err).toMatch(
      /Interrupted, but the rollout of release 1 of patience goes on\.\nhint: "dinp app patience"/,
    );
    expect(signals.eventNames()).toEqual([]);
    await ok(["stop", "patience"]);
  });

  it("on a terminal changes in place and leaves a short account", async () => {
    // It answers once it was seen that it does not.
    const seen = join(platform.folder, "pretty-was-seen");
    const lateApp = `
const { existsSync } = require("node:fs");
const looking = setInterval(() => {
  if (!existsSync(${JSON.stringify(seen)})) return;
  clearInterval(looking);
  ${webApp}
}, 20);
`;
    await platform.files("pretty", { "server.js": lateApp, "dinp.yaml": COMMAND });
    const run = await ok(["push", "pretty"], {
      tty: true,
      env: { NO_COLOR: "1" },
      watch: ({ stderr }) => {
        void shown(stderr, "Rolling out release 1: 0 of 1 ready").then(() => writeFile(seen, ""));
      },
    });
    const screen = run.stderr.screen;
    expect(run.err).toContain("Rolling out release 1: 0 of 1 ready");
    expect(screen.join("\n")).not.toContain("Rolling out");
    expect(screen.join("\n")).not.toContain("Uploading");
    expect(screen.filter((line) => /^ {2}instance .* ready/.test(line))).toHaveLength(1);
  });
});

describe("an app's life", () => {
  it("scales up and down, and says when it is done", async () => {
    await pushed("scales");
    expect((await ok(["scale", "scales", "3"])).err).toContain("scales has 3 of 3 instances ready");
    expect(await detailOf("scales")).toMatchObject({ instances: 3, ready: 3 });
    // They are ready before requests are sent to them.
    const seen = new Set<string>();
    const answering = async (): Promise<number> => seen.add((await platform.get(host("scales"))).body).size;
    await expect.poll(answering).toBe(3);
    expect((await ok(["scale", "scales", "1"])).err).toContain("scales has 1 of 1 instance ready");
    expect((await ok(["scale", "scales", "2", "--no-wait"])).err).toBe("scales is to have 2 instances\n");
  });

  it("gives up when someone else asks for something else meanwhile", async () => {
    await platform.files("contested", { "server.js": deafApp, "dinp.yaml": COMMAND });
    await ok(["push", "contested", "--no-wait"]);
    const scaling = dinp(["scale", "contested", "2"]);
    await expect.poll(async () => (await detailOf("contested")).instances).toBe(2);
    await ok(["stop", "contested", "--no-wait"]);
    const run = await scaling;
    expect(run.code).toBe(1);
    expect(run.err).toContain(
      "Gave up scaling contested to 2: meanwhile someone asked for contested to be stopped.",
    );
    expect(run.err).toContain("hint: See who: dinp events contested");
  });

  it("stops off the router, and starts again", async () => {
    await pushed("rests");
    expect((await ok(["stop", "rests"])).err).toContain("rests is stopped. Start it again: dinp start rests");
    expect((await platform.get(host("rests"))).status).toBe(503);
    const page = await ok(["app", "rests"]);
    expect(page.out).toMatch(/^rests is stopped\n.*What to do\n {2}dinp start rests {2}start it again\n$/s);
    expect((await ok(["scale", "rests", "2"])).err).toContain("rests is stopped; it will have 2 instances");
    const started = await ok(["start", "rests"]);
    expect(started.err).toContain("rests has started: 2 of 2 instances ready");
    expect(started.out).toContain("http://rests.apps.localhost");
    expect((await platform.get(host("rests"))).status).toBe(200);
  });

  it("is deleted only by one who means it", async () => {
    await pushed("goes");
    const wrong = await dinp(["delete", "goes"], { tty: true, input: "gone\n" });
    expect(wrong.code).toBe(1);
    expect(wrong.err).toMatch(/Type its name to go on: .*goes was not deleted/s);
    expect((await platform.get(host("goes"))).status).toBe(200);
    const right = await ok(["delete", "goes"], { tty: true, input: "goes\n" });
    expect(right.err).toContain("goes is deleted");
    expect((await platform.get(host("goes"))).status).toBe(404);
    const after = await dinp(["app", "goes"]);
    expect(after.code).toBe(5);
    expect(after.err).toMatch(/^error: .*goes/);
  });

  it("needs --confirm after many deletions in a short time", async () => {
    const names = Array.from({ length: 8 }, (_, index) => `many-${String(index)}`);
    await platform.files("many", { "server.js": deafApp, "dinp.yaml": COMMAND });
    for (const name of names) await ok(["push", "many", "--app", name, "--no-wait"]);
    const runs: CliRun[] = [];
    for (const name of names) runs.push(await dinp(["delete", name, "--yes", "--no-wait"]));
    const refused = runs.findIndex((run) => run.code !== 0);
    expect(refused).toBeGreaterThanOrEqual(0);
    expect(runs[refused]).toMatchObject({ code: 1 });
    expect(runs[refused]?.err).toContain(
      `hint: If you mean it: dinp delete many-${String(refused)} --yes --confirm`,
    );
    await ok(["delete", `many-${String(refused)}`, "--yes", "--confirm"]);
  });
});

describe("environment, domains, releases", () => {
  it("shows, sets and removes variables, each as a release that answers", async () => {
    await pushed("colors");
    // A rollout is complete before the instances that it replaces are off their routes.
    const colors = async (): Promise<string> => (await platform.get(host("colors"))).body;
    expect((await ok(["env", "colors"])).err).toContain(
      "has no variables. Set one: dinp env set colors KEY=VALUE",
    );
    const set = await ok(["env", "set", "colors", "COLOR=green", "SECOND=a b"]);
    expect(set.err).toMatch(/Release 2 of colors: env set COLOR SECOND\n/);
    await expect.poll(colors).toContain('"color":"green"');
    const list = await ok(["env", "colors"]);
    expect(list.out).toBe(
      "NAME    FROM          VALUE\nCOLOR   dinp env set  green\nSECOND  dinp env set  a b\n",
    );
    expect(JSON.parse((await ok(["env", "list", "colors", "--json"])).out)).toEqual({
      env: { COLOR: "green", SECOND: "a b" },
      manifestEnv: {},
      secrets: {},
    });
    await ok(["env", "unset", "colors", "COLOR"]);
    await expect.poll(colors).toContain('"color":"none"');

    const releases = await ok(["releases", "colors"]);
    expect(
      releases.out
        .split("\n")
        .slice(1, 4)
        .map((line) => /\d+/.exec(line)?.[0]),
    ).toEqual(["3", "2", "1"]);
    const back = await ok(["rollback", "colors", "2"]);
    expect(back.err).toContain("Release 4 of colors: rollback to 2");
    await expect.poll(colors).toContain('"color":"green"');
    expect((await dinp(["rollback", "colors", "77"])).code).toBe(5);
  });

  it("adds and removes domains", async () => {
    await pushed("shop");
    const added = await ok(["domains", "add", "shop", "Shop.Example.com"]);
    expect(added.err).toContain("shop.example.com leads to shop");
    expect(added.err).toContain(`curl -H 'Host: shop.example.com' ${platform.routerUrl}/`);
    await ok(["domains", "add", "shop", "example.com/shop"]);
    expect((await ok(["domains", "shop"])).out).toBe("example.com/shop\nshop.example.com\n");
    await expect.poll(async () => (await platform.get("shop.example.com")).status).toBe(200);
    await ok(["domains", "remove", "shop", "shop.example.com"]);
    await expect.poll(async () => (await platform.get("shop.example.com")).status).toBe(404);
    expect(JSON.parse((await ok(["domains", "shop", "--json"])).out)).toEqual({
      items: [{ host: "example.com", path: "/shop" }],
    });
  });
});

describe("looking", () => {
  it("lists apps, nodes and events, for people and as the API's JSON", async () => {
    await pushed("seen");
    const apps = await ok(["apps"]);
    expect(apps.out).toMatch(/^NAME +STATE +READY +RELEASE +URL\n/);
    expect(apps.out).toMatch(/^seen +running +1\/1 +1 +http:\/\/seen\.apps\.localhost:\d+\/$/m);
    const json = JSON.parse((await ok(["apps", "--json"])).out) as { items: { name: string }[] };
    expect(json.items.map((app) => app.name)).toContain("seen");
    expect((await ok(["nodes"])).out).toMatch(/^node-1 +127\.0\.0\.1 +process +open +\d+ /m);
    expect(JSON.parse((await ok(["nodes", "--json"])).out)).toMatchObject({ items: [{ id: "node-1" }] });
    expect((await ok(["events", "seen"])).out).toMatch(/seen +rollout\.complete +leader +/);
    const events = JSON.parse((await ok(["events", "seen", "-n", "2", "--json"])).out) as {
      items: unknown[];
    };
    expect(events.items).toHaveLength(2);
  });

  it("shows an app's page", async () => {
    await pushed("page", webApp, "--instances", "2");
    const { out } = await ok(["app", "page"]);
    expect(out).toMatch(/^page is running: 2 of 2 instances ready\n/);
    expect(out).toMatch(/ {2}release +1 \(rollout complete\), sha256:[0-9a-f]{12}, template node\n/);
    expect(out).toMatch(/ {2}INSTANCE +RELEASE +STATE +NODE +ENDPOINT +STARTED +REASON\n/);
    expect(out.match(/ready +node-1 +127\.0\.0\.1:\d+/g)).toHaveLength(2);
    expect(out).not.toContain("What to do");
  });

  it("shows logs by instance, and follows them until Ctrl-C", async () => {
    await pushed("talks", webApp, "--instances", "2");
    const all = await ok(["logs", "talks"]);
    expect(all.out).toMatch(/^([0-9a-z]{8}) listening\n(?!\1)[0-9a-z]{8} listening\n$/);
    const id = all.out.slice(0, 4);
    expect((await ok(["logs", "talks", "--instance", id])).out).toMatch(
      new RegExp(`^${id}[0-9a-z]{4} listening\n$`),
    );
    const lines = (await ok(["logs", "talks", "--json"])).out.trim().split("\n");
    expect(lines.map((line) => (JSON.parse(line) as { text: string }).text)).toEqual([
      "listening",
      "listening",
    ]);
    expect((await dinp(["logs", "talks", "--instance", "nope"])).code).toBe(5);

    const signals = new EventEmitter();
    const followed = await dinp(["logs", "talks", "-f", "-n", "1"], {
      signals,
      watch: ({ stdout }) => {
        void shown(stdout, "listening").then(() => signals.emit("SIGINT"));
      },
    });
    expect(followed).toMatchObject({ code: 130, err: "" });
  });

  it.each(["away", "stopping"])(
    "goes on following events when the API was %s, each told once and none missed",
    async (app) => {
      await pushed(app);
      const stopping = { error: { code: "DINP_CLOSED", message: "The platform is stopping." } };
      const signals = new EventEmitter();
      let streams = 0;
      const fetch: typeof globalThis.fetch = async (input, init) => {
        const answer = await globalThis.fetch(input, init);
        if (!answer.headers.get("content-type")?.includes("ndjson")) return answer;
        streams += 1;
        if (streams > 1) return answer;
        const reader = answer.body?.getReader();
        const first = await reader?.read();
        await reader?.cancel();
        const body = new ReadableStream({
          start: (controller) => {
            controller.enqueue(first?.value);
          },
          // What happens now is missed until the stream is open again.
          pull: async (controller) => {
            await ok(["env", "set", app, "MISSED=1"]);
            if (app === "away") controller.error(new TypeError("terminated"));
            else {
              controller.enqueue(new TextEncoder().encode(JSON.stringify(stopping)));
              controller.close();
            }
          },
        });
        return new Response(body, answer);
      };
      const followed = await dinp(["events", app, "-f", "-n", "3"], {
        signals,
        options: { fetch },
        watch: ({ stdout }) => {
          void shown(stdout, "release 2: 1 of 1 instance").then(() => signals.emit("SIGINT"));
        },
      });
      expect(followed).toMatchObject({ code: 130, err: "Lost the connection to the API; trying again\n" });
      const lines = followed.out.trim().split("\n");
      expect(lines.filter((line) => /release\.created +release 2 /.test(line))).toHaveLength(1);
      expect(new Set(lines).size).toBe(lines.length);
    },
  );

  it("ends quietly when the reader of a followed stream goes away", async () => {
    await pushed("pipe");
    const run = await dinp(["events", "-f"], {
      watch: ({ stdout }) => {
        void once(stdout, "data").then(() =>
          stdout.destroy(Object.assign(new Error("EPIPE"), { code: "EPIPE" })),
        );
      },
    });
    expect(run).toMatchObject({ code: 141, err: "" });
  });

  it("does not find what is not there", async () => {
    for (const argv of [
      ["app"],
      ["scale", "x", "2"],
      ["logs"],
      ["env"],
      ["releases"],
      ["stop"],
      ["domains"],
    ]) {
      const [command = "", , ...rest] = argv;
      const run = await dinp([command, "missing", ...rest]);
      expect(run.code, `${command}: ${run.err}`).toBe(5);
      expect(run.err).toMatch(/^error: .*missing/);
    }
  });

  it("names the app that was meant", async () => {
    await pushed("greeting");
    for (const argv of [
      ["logs", "greetign"],
      ["scale", "greetings", "2"],
      ["explain", "greet"],
    ]) {
      const run = await dinp(argv);
      expect(run.code).toBe(5);
      expect(run.err).toContain(`\nhint: Did you mean "greeting"? "dinp apps" lists them all.\n`);
    }
    expect((await dinp(["app", "xyzzy"])).err).toContain("hint: List the apps to see their names");
  });

  it("says to mend dinp.yaml when a value in it is bad", async () => {
    await platform.files("badvalue", { "server.js": webApp, "dinp.yaml": "memory: lots\n" });
    for (const command of ["plan", "push"]) {
      const run = await dinp([command, "badvalue"]);
      expect(run.code).toBe(1);
      expect(run.err).toMatch(
        /error: dinp\.yaml: "memory" is "lots"; it must be .*\nhint: Mend dinp\.yaml and try again\.\n/,
      );
    }
  });
});

describe("login", () => {
  it("checks the token, stores it, and later commands need nothing more", async () => {
    const home = await platform.files("home-login", {});
    const env = { HOME: home, DINP_API: "", DINP_TOKEN: "" };
    const before = await dinp(["apps"], { env: { ...env, DINP_API: platform.apiUrl } });
    expect(before.code).toBe(3);
    expect(before.err).toMatch(/\nhint: Run "dinp login --api http:/);
    const run = await ok(["login", "--api", platform.apiUrl], { env, input: `${platform.token}\n` });
    expect(run.err).toMatch(
      /^Logged in to http:.* as tester \(admin\)\.\nThe token is in .*credentials\.json\n$/,
    );
    const file = join(home, ".config", "dinp", "credentials.json");
    expect((await stat(file)).mode & 0o777).toBe(0o600);
    expect(await readFile(file, "utf8")).toContain(platform.token);
    expect((await dinp(["apps"], { env })).code).toBe(0);
  });

  it("asks on a terminal without showing what is typed", async () => {
    const env = { HOME: await platform.files("home-prompt", {}), DINP_TOKEN: "" };
    const run = await ok(["login"], { env, tty: true, input: `${platform.token}\r` });
    expect(run.err).toMatch(/Token for http.* \(not shown\): \n/);
    expect(run.err).not.toContain(platform.token);
  });

  it("stores nothing that does not work", async () => {
    const home = await platform.files("home-bad", {});
    const env = { HOME: home, DINP_TOKEN: "" };
    for (const [flags, input, code] of [
      [["--token", "wrong"], "", 3],
      [[], "wrong\n", 3],
      [[], "", 2],
      [["--token", "with space"], "", 2],
    ] as const) {
      const run = await dinp(["login", ...flags], { env, input });
      expect(run.code, run.err).toBe(code);
      expect(run.err).toMatch(/^error: .*\nhint: |spaces/);
    }
    await expect(stat(join(home, ".config"))).rejects.toThrow("ENOENT");
  });

  it("a wrong token says where it came from", async () => {
    const run = await dinp(["apps"], { env: { DINP_TOKEN: "wrong" } });
    expect(run.code).toBe(3);
    expect(run.err).toMatch(/hint: The token came from DINP_TOKEN; is it one of http/);
  });
});
