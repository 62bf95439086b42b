import { once } from "node:events";
import { mkdir, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { createServer } from "node:http";
import { createServer as createTlsServer } from "node:https";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it, onTestFinished } from "vitest";
import { makeCertificates } from "../../scripts/lib/services/certificates.mjs";
import type { UpOptions } from "../../src/adapters/cli/index.js";
import { runCli } from "./run-cli.js";

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "dinp-cli-"));
  await mkdir(join(folder, "___"));
  await mkdir(join(folder, "app"));
  await writeFile(join(folder, "app", "dinp.yaml"), "app: [1]\n");
  await mkdir(join(folder, "broken"));
  await writeFile(join(folder, "broken", "dinp.yaml"), "app: [1\n");
  await mkdir(join(folder, "badname"));
  await writeFile(join(folder, "badname", "dinp.yaml"), "app: Not A Name\n");
  await writeFile(join(folder, "plain.txt"), "hello");
});
afterAll(async () => {
  await rm(folder, { recursive: true, force: true });
});

const commands = [
  "login",
  "push",
  "apps",
  "app",
  "scale",
  "start",
  "stop",
  "delete",
  "env",
  "domains",
  "releases",
  "rollback",
  "logs",
  "nodes",
  "routers",
  "events",
];

describe("help", () => {
  it("lists every command and the exit codes", async () => {
    const { code, out, err } = await runCli(["--help"]);
    expect(code).toBe(0);
    expect(err).toBe("");
    for (const command of commands) expect(out).toMatch(new RegExp(`^  ${command}\\b`, "m"));
    expect(out).toMatch(
      /Exit codes:\n {2}0 .*\n {2}1 .*\n {2}2 .*\n {2}3 .*\n {2}4 .*\n {2}5 .*\n {2}124 .*\n {2}130 /,
    );
    expect(out.split("\n").every((line) => line.length <= 110)).toBe(true);
  });

  it("is printed on standard error when nothing was asked for", async () => {
    const { code, out, err } = await runCli([]);
    expect(code).toBe(2);
    expect(out).toBe("");
    expect(err).toContain("Usage: dinp <command>");
  });

  it.each(commands)("of %s says what it does, without an API", async (command) => {
    const { code, out, err } = await runCli([command, "--help"]);
    expect(code).toBe(0);
    expect(err).toBe("");
    expect(out).toContain(`Usage: dinp ${command}`);
  });

  it("--version prints the version", async () => {
    expect(await runCli(["--version"])).toMatchObject({ code: 0, out: "9.8.7\n", err: "" });
  });
});

describe("wrong usage ends with 2 and says what to write", () => {
  it.each([
    [["pusj"], /error: Unknown command 'pusj'\nhint: Did you mean "dinp push"\?\nusage: dinp <command>/],
    [["deploy", "."], /Unknown command 'deploy'\nhint: Did you mean "dinp push"/],
    [["ps"], /hint: Did you mean "dinp app"/],
    [["xyzzy"], /Unknown command 'xyzzy'\nusage: dinp <command>/],
    [["--bogus"], /Unknown option '--bogus'/],
    [["logs", "a", "--folow"], /Unknown option '--folow'\nhint: Did you mean --follow\?\nusage: dinp logs/],
    [["scale"], /Missing required argument 'app'\nusage: dinp scale \[options\] <app> <instances>/],
    [["scale", "a", "many"], /number of instances .* 0 to 1000 \("many"\)/],
    [["scale", "a", "1", "2"], /Too many arguments/],
    [["app", "No_Name"], /"No_Name" is not a name for an app\nhint: Use 1 to 63/],
    [["env"], /name of an app is missing.*\nhint: .*env set APP K=V/],
    [["env", "set", "a"], /nothing to set.*\nhint: Write KEY=VALUE, or --secret KEY/],
    [["env", "set", "a", "B"], /Expected KEY=VALUE \("B"\)\nhint: Write B=VALUE/],
    [["env", "unset", "a", "B=1"], /"B=1" is not the name/],
    [["domains"], /name of an app is missing/],
    [["domains", "add", "a", "https://x.com"], /no scheme.*\nhint: Write x\.com/],
    [["rollback", "a", "v1"], /The release must be a whole number/],
    [["logs", "a", "-n", "-1"], /-n/],
    [["events", "-n", "99999"], /-n must be a whole number from 0 to 1000/],
    [["apps", "--api", "ftp://x"], /Not the URL of an API \("ftp:\/\/x"\)\nhint: Write it like http/],
    [["push", "--memory", "lots"], /--memory .* \("lots"\)\nhint: Write it like 256M/],
    [["push", "--instances", "0"], /--instances .* 1 to 1000/],
    [["push", "--env", "A"], /Expected KEY=VALUE/],
    [["push", ".", "--env", "A=1", "B=2"], /Too many arguments.*\nhint: Repeat --env/],
    [["push", "nowhere"], /no folder or file "nowhere"\.\nhint: Write: dinp push DIR/],
    [["push", "plain.txt"], /"plain\.txt" cannot be pushed\. The upload begins with the bytes/],
    [["push", "___"], /No app name can be made of "___"\.\nhint: Give one with --app/],
    [["push", "app"], /"app" in dinp\.yaml must be a text/],
    [["push", "broken"], /dinp\.yaml cannot be used: .*line/],
    [["push", "badname"], /"Not A Name" is not a name for an app/],
    [["registries", "add", "https://r.example"], /is not the host of a registry/],
    [["registries", "add", "r.example", "--password", "hush"], /Unknown option '--password'/],
    [["registries", "add", "r.example", "--ca", "nowhere.pem"], /certificates cannot be read: ENOENT/],
    [["delete", "a"], /needs --yes.*\nhint: dinp delete a --yes/],
    [["up"], /Unknown command 'up'/],
  ] satisfies readonly (readonly [string[], RegExp])[])("%j", async (argv, expected) => {
    const { code, out, err } = await runCli(argv, { cwd: folder });
    expect(err).toMatch(expected);
    expect(err).toMatch(/^error: /);
    expect(err).not.toMatch(/\n\s+at |\p{Cc}(?<!\n)/u);
    expect(out).toBe("");
    expect(code).toBe(2);
  });
});

describe("what a terminal or a shell may do", () => {
  it("says of an output that takes nothing why, and fails", async () => {
    const run = await runCli(["completion", "bash"], {
      watch: ({ stdout }) => {
        stdout.write = () => {
          stdout.destroy(
            Object.assign(new Error("ENOSPC: no space left on device, write"), { code: "ENOSPC" }),
          );
          return false;
        };
      },
    });
    expect(run.code).toBe(1);
    expect(run.err).toBe("error: The output could not be written: ENOSPC: no space left on device, write\n");
  });

  it("never shows a token that cannot be one", async () => {
    for (const token of ["hush\nhush", "h\u00fcsh", "hush hush", "h".repeat(5_000)]) {
      const { code, out, err } = await runCli(["apps", "--token", token, "--api", "http://127.0.0.1:9"]);
      expect([code, out]).toEqual([1, ""]);
      expect(err).toMatch(/^error: The token is none:/);
      expect(err).not.toMatch(/hush|h\u00fcsh|hhhh/);
    }
  });

  it("takes help as a command", async () => {
    expect(await runCli(["help", "scale"])).toMatchObject({
      code: 0,
      out: (await runCli(["scale", "--help"])).out,
      err: "",
    });
    expect((await runCli(["help"])).out).toContain("Usage: dinp <command>");
  });
});

const untrusted =
  /Cannot reach the API at https:\/\/127\.0\.0\.1:\d+ \(nobody that is trusted has signed its certificate\)[^]*NODE_EXTRA_CA_CERTS/;

describe("an API that is not there", () => {
  it("ends with 4 and says how to start or name one", async () => {
    const server = createServer().listen(0, "127.0.0.1");
    await once(server, "listening");
    const address = server.address();
    const port = typeof address === "object" && address !== null ? address.port : 0;
    server.close();
    await once(server, "close");
    const { code, out, err } = await runCli(["apps"], {
      env: { DINP_API: `http://127.0.0.1:${String(port)}` },
    });
    expect(code).toBe(4);
    expect(out).toBe("");
    expect(err).toMatch(
      /^error: Cannot reach the API at http:\/\/127\.0\.0\.1:\d+ \(connection refused\).*\nhint: Start it with "dinp up"/,
    );
    expect(err).not.toContain("    at ");
    const debugged = await runCli(["apps"], {
      env: { DINP_API: `http://127.0.0.1:${String(port)}`, DINP_DEBUG: "1" },
    });
    expect(debugged.err).toContain("    at ");
  });

  it("says what to do about a certificate that nobody trusted has signed, and not to start another one", async () => {
    const { key, certificate } = await makeCertificates(folder);
    const tls = { key: await readFile(key), cert: await readFile(certificate) };
    const server = createTlsServer(tls, (_request, response) => response.end()).listen(0, "127.0.0.1");
    onTestFinished(async () => {
      server.close();
      await once(server, "close");
    });
    await once(server, "listening");
    const { port } = server.address() as AddressInfo;
    const env = { DINP_API: `https://127.0.0.1:${String(port)}` };
    const { code, err } = await runCli(["apps"], { env });
    expect([code, err]).toEqual([4, expect.stringMatching(untrusted) as string]);
    const doctor = await runCli(["doctor"], { env });
    expect([doctor.code, doctor.out]).toEqual([1, expect.stringMatching(untrusted) as string]);
    for (const text of [err, doctor.out]) expect(text).not.toContain("Start it");
  });

  it("that is something else ends with 4 too", async () => {
    const server = createServer((_, answer) => answer.end("<h1>hello</h1>")).listen(0, "127.0.0.1");
    await once(server, "listening");
    const address = server.address();
    const port = typeof address === "object" && address !== null ? address.port : 0;
    try {
      const { code, err } = await runCli(["apps", "--api", `127.0.0.1:${String(port)}`]);
      expect(code).toBe(4);
      expect(err).toContain("does not answer like a DINP API");
    } finally {
      server.close();
    }
  });
});

describe("dinp up", () => {
  const defaults: UpOptions = {
    api: { host: "127.0.0.1", port: 7070 },
    router: { host: "127.0.0.1", port: 8080 },
    instancePorts: { first: 20_000, last: 29_999 },
    dataDirectory: null,
    appsDomain: "apps.localhost",
    demoDirectory: null,
    newToken: false,
    layerCompression: "none",
    runtime: null,
    dockerSocket: "/var/run/docker.sock",
    templatesFile: null,
    registry: { url: null, caFile: null, credentialsFile: null, hasMoved: false },
    allowUploadFrom: [],
    builder: null,
    logLevel: "info",
  };

  async function up(...argv: string[]): Promise<{ code: number; err: string; asked: UpOptions | null }> {
    const seen: { asked: UpOptions | null } = { asked: null };
    const { code, err } = await runCli(["up", ...argv], {
      options: {
        up: (options) => {
          seen.asked = options;
          return Promise.resolve(7);
        },
      },
    });
    return { code, err, asked: seen.asked };
  }

  it("hands its options over and ends with the exit code it is given", async () => {
    expect(await up()).toEqual({ code: 7, err: "", asked: defaults });
    const words =
      "--api 0.0.0.0:1 --router [::1]:0 --instance-ports 30000-30099 --data d --domain Apps.Example.com --demo x --new-token --layer-compression gzip --templates t.yaml --log-level debug --allow-upload-from nexus:8081 --allow-upload-from 10.0.0.0/8 --builder docker --builder-network index --pip-index https://pypi.example/simple/ --registry https://R.example:5000/team/ --registry-ca ca.pem --registry-credentials login --registry-moved --runtime docker --docker-host unix:///run/d.sock";
    expect((await up(...words.split(" "))).asked).toEqual({
      api: { host: "0.0.0.0", port: 1 },
      router: { host: "::1", port: 0 },
      instancePorts: { first: 30_000, last: 30_099 },
      dataDirectory: "d",
      appsDomain: "apps.example.com",
      demoDirectory: "x",
      newToken: true,
      runtime: "docker",
      dockerSocket: "/run/d.sock",
      layerCompression: "gzip",
      templatesFile: "t.yaml",
      registry: {
        url: "https://r.example:5000/team",
        caFile: "ca.pem",
        credentialsFile: "login",
        hasMoved: true,
      },
      builder: { network: "index", pipIndexUrl: "https://pypi.example/simple/" },
      allowUploadFrom: [
        { at: { host: "nexus" }, port: 8081 },
        { at: { range: { address: [10, 0, 0, 0], prefixBits: 8 } }, port: null },
      ],
      logLevel: "debug",
    });
  });

  it("takes http of a registry on this machine, and elsewhere when told to", async () => {
    for (const url of ["http://127.0.0.1:5000", "http://localhost:5000/a", "http://[::1]:5000"])
      expect((await up("--registry", url)).asked?.registry.url).toBe(url);
    const { asked } = await up("--registry", "http://r.example/", "--registry-plain-http");
    expect(asked?.registry.url).toBe("http://r.example");
  });

  it.each([
    [["--api", "x"], /--api must be HOST:PORT \("x"\)/],
    [["--instance-ports", "30000"], /--instance-ports must be FIRST-LAST.*\("30000"\)\nhint: Write it like/],
    [["--instance-ports", "30001-30000"], /--instance-ports must be FIRST-LAST/],
    [["--instance-ports", "1-65536"], /--instance-ports must be FIRST-LAST/],
    [["--domain", "a b"], /--domain must be a domain name/],
    [["--layer-compression", "zstd"], /Allowed choices are none, gzip/],
    [["--registry", "registry:5000"], /Not the URL of a registry.*\nhint: Write it like https/],
    [
      ["--registry", "https://me:hush@r.example"],
      /has no user or password in it\nhint: .*--registry-credentials/,
    ],
    [["--registry", "https://r.example/?a=b"], /ends with its path/],
    [["--registry", "http://r.example"], /read and change.*\nhint: .*--registry-plain-http/],
    [["--registry-moved"], /--registry-moved needs --registry/],
    [["--builder", "docker", "--pip-index", "https://x.example/"], /--pip-index needs --builder-network/],
    [["--builder", "docker", "--builder-network", "host"], /not the machine's own \("host"\)/],
    [["--builder-network", "index"], /--builder-network needs --builder docker/],
    [
      ["--builder", "docker", "--builder-network", "x", "--pip-index", "https://u:hush@x.example/"],
      /--pip-index: The URL has a user or password before x\.example/,
    ],
    [["--allow-upload-from", "10.0.0.1/8"], /--allow-upload-from: "10.0.0.1\/8" is no place of uploads/],
    [["--runtime", "podman"], /Allowed choices are process, docker/],
    [["--docker-host", "tcp://h:2375"], /--docker-host must be a socket of this machine/],
    [["--log-level", "loud"], /Allowed choices are debug/],
    [["extra"], /Too many arguments/],
  ] satisfies readonly (readonly [string[], RegExp])[])("refuses %j", async (argv, expected) => {
    const { code, err, asked } = await up(...argv);
    expect(code).toBe(2);
    expect(err).toMatch(expected);
    expect(asked).toBeNull();
  });
});
