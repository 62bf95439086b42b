import fc from "fast-check";
import {
  createClient,
  type AppPlanView,
  type ExplainView,
  type PlanView,
  type PushPlanView,
} from "@dinp/core/client";
import { describe, expect, it } from "vitest";
import { webApp } from "./platform-fixture.js";
import { usePlatform } from "./use-platform.js";

const MANIFEST = "command: [node, server.js]\ncpu: 0.01\nmemory: 96M\nenv: {COLOR: ultramarine, OLD: gone}\n";

const { platform, dinp, ok } = usePlatform(async () => {
  await platform.files("shop", { "server.js": webApp, "dinp.yaml": MANIFEST });
  await ok(["push", "shop"]);
});

async function revision(): Promise<number> {
  return (JSON.parse((await ok(["plan", "--json"])).out) as PlanView).revision;
}

describe("plan", () => {
  it("says what a push would change, names of variables only, and where instances would go; it writes nothing", async () => {
    const manifest = MANIFEST.replace("OLD: gone", "NEW: secret-value").replace("ultramarine", "vermilion");
    await platform.files("shop", { "dinp.yaml": `${manifest}domains: [shop.example.com]\n` });
    const before = await revision();
    const flags = ["--instances", "2", "--memory", "128M", "--env", "FLAG=flag-value"];
    const run = await ok(["plan", "shop", ...flags]);
    expect(run.out).toContain("A push would make release 2 of shop\n");
    for (const line of [
      "  ~ instances: 1 -> 2\n",
      "  ~ memory: 96 MB -> 128 MB\n",
      "  + env FLAG\n  + env NEW\n  - env OLD\n  ~ env COLOR\n",
      "  + domain shop.example.com\n",
    ]) {
      expect(run.out).toContain(line);
    }
    expect(run.out).toMatch(/image: sha256:[0-9a-f]{12} -> \(built at the push\)/);
    expect(run.out).toMatch(/ {2}place 2 on node-1 \(release 2\): 2 wanted of release 2; node node-1 has/);
    expect(run.out).not.toMatch(/secret-value|flag-value|vermilion|ultramarine/);
    expect(await revision()).toBe(before);
    const { items } = JSON.parse((await ok(["releases", "shop", "--json"])).out) as { items: unknown[] };
    expect(items).toHaveLength(1);
    await platform.files("shop", { "dinp.yaml": MANIFEST });
  });

  it("says why it would not be placed, and what it would be refused for", async () => {
    const manifest = "template: node\ncommand: [php, -S, x]\nmemory: 900G\ndomains: [a.apps.localhost]\n";
    await platform.files("giant", { "x.txt": "x", "dinp.yaml": manifest });
    const plan = JSON.parse((await ok(["plan", "giant", "--json"])).out) as PushPlanView;
    expect(plan).toMatchObject({ exists: false, release: null, nextRelease: 1 });
    expect(plan.plan.refused[0]?.reason).toMatch(/node-1: (has no php|\d+ MB of memory free, 921600 needed)/);
    expect(plan.problems.join()).toContain('The host "a.apps.localhost" belongs to the platform');
    expect((await dinp(["app", "giant"])).code).toBe(5);
  });

  it("refuses what a push would refuse", async () => {
    await platform.files("wrong", { "dinp.yaml": "memroy: 1\n" });
    expect((await dinp(["plan", "wrong"])).err).toContain("memroy");
    const client = createClient({ url: platform.apiUrl, token: platform.token });
    await expect(client.planPush("shop", { memoryMb: -1 })).rejects.toMatchObject({ code: "DINP_INVALID" });
    const deep = JSON.parse(`${"[".repeat(40)}${"]".repeat(40)}`) as [];
    await expect(client.planPush("shop", { manifest: deep })).rejects.toMatchObject({ code: "DINP_INVALID" });
  });

  it("says what a release of an image would change, and nothing when it would change nothing", async () => {
    await platform.files("image", { "server.js": webApp, "dinp.yaml": MANIFEST });
    await ok(["build", "image", "--tag", "v1"]);
    const image = ["--image", "apps/image:v1"];
    const before = await revision();
    const first = await ok(["plan", ...image, "--app", "imaged", "--cpu", "0.01"]);
    expect(first.out).toMatch(
      /^A push would create imaged\n {2}\+ instances: 1\n {2}\+ image: sha256:[0-9a-f]{12}\n/,
    );
    expect(first.out).toContain("  + command: node server.js\n");
    expect(first.out).toContain("place on node-1 (release 1): 1 wanted of release 1");
    expect(await revision()).toBe(before);
    await ok(["push", ...image, "--app", "imaged", "--cpu", "0.01"]);
    const again = await ok(["plan", ...image, "--app", "imaged"]);
    expect(again.out).toBe(
      "A push would make no new release of imaged\nThe platform's first step:\n  none\n",
    );
    const other = await ok(["plan", ...image, "--app", "imaged", "--command", "node server.js --x"]);
    expect(other.out).toMatch(
      /^A push would make release 2 of imaged\n {2}~ command: node server\.js -> node server\.js --x\n/,
    );
    const none = await dinp(["plan", "--image", "apps/image:v9", "--app", "imaged"]);
    expect(none.err).toContain("hint: Tags of apps/image: v1.");
    for (const wrong of [["image", "--app", "imaged"], ["--app", "imaged", "--template", "node"], []]) {
      expect((await dinp(["plan", ...image, ...wrong])).code).toBe(2);
    }
    await ok(["delete", "imaged", "--yes"]);
  });

  it("says what the platform is about to do now", async () => {
    // What was deleted before may still be on its way out.
    await expect
      .poll(async () => (await ok(["plan"])).out)
      .toMatch(/^Nothing to do: all is as it should be\.\nLooked at again in /);
    await platform.files("huge", {
      "server.js": webApp,
      "dinp.yaml": "command: [node, server.js]\nmemory: 900G\n",
    });
    await ok(["push", "huge", "--no-wait"]);
    await expect
      .poll(async () => (await ok(["plan"])).out)
      .toMatch(/huge\n {2}refused no-capacity: release 1 needs 1 more: no node can take it/);
    await ok(["delete", "huge", "--yes"]);
  });
});

describe("--dry-run", () => {
  interface Happened {
    readonly id: string;
    readonly type: string;
    readonly actor: string;
    readonly message: string;
    readonly instanceId: string | null;
  }
  const events = async (): Promise<readonly Happened[]> =>
    (JSON.parse((await ok(["events", "dry", "--all", "--json"])).out) as { items: Happened[] }).items;

  /** What a change would set off. The platform may still write of the one before: then it is asked again. */
  async function predicted(argv: readonly string[], about: string): Promise<AppPlanView> {
    for (let attempt = 0; attempt < 20; attempt += 1) {
      const at = await revision();
      const view = JSON.parse((await ok([...argv, "--dry-run", "--json"])).out) as AppPlanView;
      if ((await revision()) === at) return view;
    }
    throw new Error(`${about}: each time that it was predicted, something was written`);
  }

  it("predicts what is then done, whatever is changed, and changes nothing itself", async () => {
    await platform.files("dry", { "server.js": webApp, "dinp.yaml": MANIFEST });
    await ok(["push", "dry"]);
    const change = fc.oneof(
      fc.integer({ min: 0, max: 4 }).map((instances) => ["scale", "dry", String(instances)]),
      fc.constantFrom(["stop", "dry"], ["start", "dry"]),
    );
    const seed = Number(process.env["SEED"] ?? Date.now() % 2 ** 31);
    const changes = [...fc.sample(change, { seed, numRuns: 8 }), ["start", "dry"], ["delete", "dry"]];
    for (const argv of changes) {
      const about = `SEED=${String(seed)}: ${argv.join(" ")}`;
      const before = await events();
      const { actions } = await predicted(argv, about);
      await ok(argv[0] === "delete" ? [...argv, "--yes"] : argv);
      const told = new Set(before.map(({ id }) => id));
      const done = async (type: string): Promise<readonly Happened[]> =>
        (await events()).filter(
          (each) => each.type === type && each.actor === "leader" && !told.has(each.id),
        );
      const places = actions.filter(({ type }) => type === "place").map(({ reason }) => reason);
      const placed = (await done("instance.placed")).map(({ message }) => message);
      expect(placed.sort(), about).toEqual(places.sort());
      const ends = actions
        .filter(({ type }) => type === "drain" || type === "stop")
        .map(({ instance }) => instance);
      // What is drained is stopped when its routers have said that they have let go of it.
      const ended = async (): Promise<readonly (string | null)[]> =>
        (await done("instance.stopping")).map(({ instanceId }) => instanceId).sort();
      await expect.poll(ended, { timeout: 60_000, message: about }).toEqual(ends.sort());
    }
  }, 300_000);

  it("shows it to people, and refuses what the change would be refused for", async () => {
    const run = await ok(["scale", "shop", "3", "--dry-run"]);
    expect(run.out).toMatch(
      /^The platform's first step:\n {2}place 2 on node-1 \(release 1\): 3 wanted of release 1;/,
    );
    expect((await ok(["start", "shop", "--dry-run"])).out).toBe("Nothing would happen.\n");
    expect((await dinp(["scale", "none", "3", "--dry-run"])).code).toBe(5);
    const client = createClient({ url: platform.apiUrl, token: platform.token });
    for (const request of [
      { change: "scale" },
      { change: "stop", instances: 1 },
      { change: "scale", instances: 1e6 },
    ] as const)
      await expect(client.planChange("shop", request)).rejects.toMatchObject({ code: "DINP_INVALID" });
  });
});

describe("explain", () => {
  it("tells an app's chain of facts, for people and as JSON", async () => {
    const run = await ok(["explain", "shop"]);
    expect(run.out).toMatch(/^shop is running: 1 of 1 instance ready\n/);
    expect(run.out).toMatch(/desired +running, with 1 instance\n {2}release +1 \(push\), by tester/);
    expect(run.out).toMatch(
      /instance +i-\w+ is to be running on node-1, of release 1: 1 wanted of release 1/,
    );
    expect(run.out).toMatch(/route +i-\w+: requests are sent to it\n/);
    expect(run.out).toMatch(/event +rollout\.complete: /);
    const view = JSON.parse((await ok(["explain", "shop", "--json"])).out) as ExplainView;
    expect(view).toMatchObject({ app: "shop", instance: null, state: "running", next: [] });
  });

  it("explains one instance by its id's beginning", async () => {
    const { out } = await ok(["app", "shop", "--json"]);
    const id = (JSON.parse(out) as { instanceList: { id: string }[] }).instanceList[0]?.id ?? "";
    const run = await ok(["explain", id.slice(0, 9)]);
    expect(run.out).toMatch(new RegExp(`^${id} of shop is ready`));
    expect(run.out).toContain(`probe     ${id} answers its check`);
    expect((await dinp(["explain", "i-nobody"])).code).toBe(5);
    const client = createClient({ url: platform.apiUrl, token: platform.token });
    await expect(client.explain("shop", { instance: "i-x" })).rejects.toMatchObject({
      code: "DINP_NOT_FOUND",
    });
  });

  it("says why an app crashes, until when the next start waits, and what to do", async () => {
    const crashing = `console.log("no \\u001b[31mDATABASE_URL"); process.exit(3);`;
    await platform.files("crashes", { "server.js": crashing, "dinp.yaml": MANIFEST });
    expect((await dinp(["push", "crashes"])).code).toBe(1);
    await expect
      .poll(async () => (await ok(["explain", "crashes"])).out, { timeout: 60_000 })
      .toMatch(/backoff +the next start waits until then, in /);
    const { out } = await ok(["explain", "crashes"]);
    expect(out).toMatch(/^crashes is crashing: 0 of 1 instance ready\n/);
    expect(out).toMatch(/crash +\d+ failures in a row, the last: It exited with code 3/);
    expect(out).toContain("log       no DATABASE_URL");
    expect(out).toMatch(/What to do\n {2}Look at the log of crashes/);
    expect(out).not.toMatch(/\p{Cc}(?<!\n)/u);
    const askedAt = Date.now();
    const detail = JSON.parse((await ok(["app", "crashes", "--json"])).out) as { nextStartAt: number | null };
    expect(detail.nextStartAt === null || detail.nextStartAt > askedAt - 2_000).toBe(true);
    await ok(["stop", "crashes"]);
    expect((await ok(["explain", "crashes"])).out).toContain("Start crashes to have it answer again.");
  });
});
