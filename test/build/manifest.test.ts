import { describe, expect, it } from "vitest";
import { assertCommand, assertEnv, limits, parseManifest, type JsonValue } from "@dinp/core";
import { parseYaml } from "@dinp/core/yaml";

function read(yaml: string): unknown {
  return parseManifest(parseYaml(yaml));
}

function refusal(message: RegExp, hint?: RegExp): object {
  return expect.objectContaining({
    code: "DINP_INVALID",
    message: expect.stringMatching(message) as string,
    ...(hint === undefined ? {} : { hint: expect.stringMatching(hint) as string }),
  }) as object;
}

function thrownBy(call: () => unknown): unknown {
  try {
    return { returned: call() };
  } catch (error) {
    return error;
  }
}

describe("dinp.yaml", () => {
  it("is read whole", () => {
    const manifest = read(`
app: shop
template: node
command: node server.js
instances: 3
memory: 1G
cpu: 0.5
env:
  GREETING: hello
  VERSION: 1.10
  ZIP: 007
  DEBUG: true
  EMPTY: ""
check: { type: http, path: /health?full=1, status: "200-399", interval: 10s, timeout: 500ms, failures: 2, successes: 1, startup: 2m }
stop_grace: 20s
drain: 1m
domains: [WWW.example.org, shop.example.org]
`);
    expect(manifest).toEqual({
      app: "shop",
      template: "node",
      command: "node server.js",
      instances: 3,
      memoryMb: 1024,
      cpuMillis: 500,
      env: { GREETING: "hello", VERSION: "1.10", ZIP: "007", DEBUG: "true", EMPTY: "" },
      check: {
        type: "http",
        path: "/health?full=1",
        statusMin: 200,
        statusMax: 399,
        intervalMs: 10_000,
        timeoutMs: 500,
        failureThreshold: 2,
        successThreshold: 1,
        startupMs: 120_000,
      },
      stopGraceMs: 20_000,
      drainMs: 60_000,
      domains: ["www.example.org", "shop.example.org"],
    });
  });

  it("may be empty, and any key may be absent", () => {
    expect(read("")).toEqual({});
    expect(read("# nothing\n")).toEqual({});
    expect(read("instances: 0")).toEqual({ instances: 0 });
  });

  it.each([
    ["memory: 256", { memoryMb: 256 }],
    ['memory: "256"', { memoryMb: 256 }],
    ["memory: 256M", { memoryMb: 256 }],
    ["memory: 1.5G", { memoryMb: 1_536 }],
    ["memory: 512 MiB", { memoryMb: 512 }],
    ["cpu: 2", { cpuMillis: 2_000 }],
    ["cpu: 0.50", { cpuMillis: 500 }],
    ["cpu: 0.001", { cpuMillis: 1 }],
    ["command: [node, server.js, 8]", { command: ["node", "server.js", "8"] }],
    ["check: {status: 204}", { check: { statusMin: 204, statusMax: 204 } }],
    ["check: {type: tcp}", { check: { type: "tcp" } }],
    ["stop_grace: 1.5s", { stopGraceMs: 1_500 }],
    ["drain: 0s", { drainMs: 0 }],
  ])("%s", (yaml, manifest) => {
    expect(read(yaml)).toEqual(manifest);
  });

  it.each([
    ["app: Shop!", /"Shop!" is not a DNS label/],
    ["app: [shop]", /"app" is a list; it must be the app's name/],
    ["instances: -1", /"instances" is -1; it must be a whole number from 0 to 1000/],
    ["instances: 1.5", /"instances" is 1\.5/],
    ["instances: 1000000000", /"instances" is 1000000000/],
    ["instances: many", /"instances" is "many"/],
    ["instances:", /"instances" is empty/],
    ["memory: 1", /"memory" is 1; .*from 16 to/],
    ["memory: 9007199254740993", /"memory" is/],
    ["memory: 256K", /"memory" is "256K"; .*"256M" or "1G"/],
    ["memory: -256M", /"memory" is "-256M"/],
    ["cpu: 0", /"cpu" is 0; .*from 0\.001 to 1024/],
    ["cpu: .5.5", /"cpu" is "\.5\.5"/],
    ["command: ''", /"command" is ""/],
    ["command: []", /"command" is a list/],
    ["command: [[a]]", /"command" is a list; .*1 to 256 words/],
    ["env: [A]", /"env" is a list; it must be a map/],
    ["env: {A: }", /"env\.A" is empty; .*write "" for an empty value/],
    ["env: {A: [1]}", /"env\.A" is a list/],
    ["env: {1A: x}", /"1A" is refused: it is not a legal name/],
    ["env: {A-B: x}", /"A-B" is refused/],
    ["env: {PORT: 80}", /"PORT" is refused: the platform chooses the port/],
    ["env: {DINP_APP: x}", /"DINP_APP" is refused: names that begin with DINP_/],
    ["env: {__proto__: x}", /"__proto__" is refused/],
    ["check: /health", /"check" is "\/health"; it must be a map/],
    ["check: {type: grpc}", /"check\.type" is "grpc"; it must be "http" or "tcp"/],
    ["check: {path: health}", /"check\.path" is "health"; .*begins with/],
    ['check: {path: "/a b"}', /"check\.path"/],
    ['check: {path: "/a\\r\\nX: y"}', /"check\.path"/],
    ["check: {status: 99}", /"check\.status" is 99/],
    ["check: {status: 400-200}", /"check\.status" is "400-200"/],
    ["check: {interval: 10}", /"check\.interval" is 10; it must be a duration with its unit/],
    ["check: {interval: 1ms}", /"check\.interval" is "1ms"; .*from 100ms to 1h/],
    ["check: {failures: 0}", /"check\.failures" is 0/],
    ["stop_grace: 2h", /"stop_grace" is "2h"; .*from 0s to 1h/],
    ["domains: www.example.org", /"domains" is "www\.example\.org"; it must be a list/],
    ["domains: [http://x.org/]", /"domains\[0\]" is "http:\/\/x\.org\/"; .*host name/],
    ["[1]", /must hold keys and values/],
    ["text", /must hold keys and values/],
  ])("%s is refused", (yaml, message) => {
    expect(thrownBy(() => read(yaml))).toEqual(refusal(message));
  });

  it.each([
    ["instance: 2", 'there is no key "instance"; did you mean "instances"?'],
    ["Memory: 2", 'there is no key "Memory"; did you mean "memory"?'],
    ["memoryMb: 2", 'there is no key "memoryMb"; did you mean "memory"?'],
    ["comand: x", 'there is no key "comand"; did you mean "command"?'],
    ["check: {statsu: 200}", 'there is no key "check.statsu"; did you mean "check.status"?'],
    ["__proto__: {a: 1}", 'there is no key "__proto__".'],
    ["constructor: x", 'there is no key "constructor".'],
    ["zzzzzz: 2", 'there is no key "zzzzzz".'],
  ])("%s names the nearest key", (yaml, message) => {
    expect(thrownBy(() => read(yaml))).toMatchObject({
      code: "DINP_INVALID",
      message: expect.stringContaining(message.replace(/\.$/, "")) as string,
      hint: expect.stringContaining("Known keys") as string,
    });
  });

  it("leaves prototypes alone, and takes no key from one", () => {
    thrownBy(() => read("__proto__: {instances: 9}"));
    expect(Object.hasOwn(Object.prototype, "instances")).toBe(false);
    const inherited: JsonValue = Object.create({ instances: 9 }) as JsonValue;
    expect(parseManifest(inherited)).toEqual({});
  });

  it("shows no value of the environment, which may be a secret", () => {
    const secret = "hunter2";
    const error = thrownBy(() => {
      assertEnv({ "BAD NAME": secret, OTHER: `${secret}\0` });
    });
    expect(JSON.stringify([error, String(error)])).not.toContain(secret);
    const other = thrownBy(() => {
      assertEnv({ OTHER: `${secret}\0` });
    });
    expect(String(other)).toMatch(/"OTHER" is refused: its value contains a NUL/);
    expect(String(other)).not.toContain(secret);
  });
});

describe("bounds", () => {
  it("count variables and bytes", () => {
    const many = Object.fromEntries(
      Array.from({ length: limits.envVariablesMax + 1 }, (_, i) => [`A${String(i)}`, ""]),
    );
    expect(
      thrownBy(() => {
        assertEnv(many);
      }),
    ).toEqual(refusal(/501 environment variables; 500/));
    delete many["A0"];
    assertEnv(many);
    assertEnv({ A: "x".repeat(limits.envBytesMax - 3) });
    expect(
      thrownBy(() => {
        assertEnv({ A: "ü".repeat(limits.envBytesMax / 2) });
      }),
    ).toEqual(refusal(/takes 131075 bytes/));
  });

  it("count words of a command", () => {
    const words = Array.from({ length: limits.commandWordsMax }, () => "a");
    assertCommand(words);
    expect(
      thrownBy(() => {
        assertCommand([...words, "b"]);
      }),
    ).toEqual(refusal(/1 to 256 words/));
    expect(
      thrownBy(() => {
        assertCommand("a\0b");
      }),
    ).toEqual(refusal(/"command"/));
    expect(
      thrownBy(() => {
        assertCommand(["", "a"]);
      }),
    ).toEqual(refusal(/"command"/));
  });
});
