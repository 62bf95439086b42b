import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { appNameFromPath, parseAppName } from "../../src/adapters/cli/app-name.js";
import { CliError } from "../../src/adapters/cli/exit-codes.js";
import {
  parseApiUrl,
  parseCpuMillis,
  parseDomain,
  parseDurationMs,
  parseHostPort,
  parseInteger,
  parseMemoryMb,
  parseVariables,
} from "../../src/adapters/cli/parse.js";

function usage(action: () => unknown): string {
  try {
    action();
  } catch (error) {
    if (error instanceof CliError && error.exitCode === 2) return [error.message, ...error.hints].join("\n");
    throw error;
  }
  throw new Error("nothing was thrown");
}

describe("sizes and numbers", () => {
  it.each([
    ["256M", 256],
    ["256m", 256],
    ["256", 256],
    ["512MB", 512],
    ["512MiB", 512],
    ["1G", 1024],
    ["1.5g", 1536],
    ["0.3G", 307],
  ])("reads memory %s as %i MB", (text, mb) => {
    expect(parseMemoryMb(text)).toBe(mb);
  });

  it.each(["", "lots", "-1M", "1K", "15M", "2T", "1e3M", "NaN", "9".repeat(40), "256 M"])(
    "refuses memory %j",
    (text) => {
      expect(usage(() => parseMemoryMb(text))).toMatch(/--memory .*\n.*256M/s);
    },
  );

  it.each([
    ["0.5", 500],
    ["2", 2000],
    ["250m", 250],
    ["0.001", 1],
  ])("reads cpu %s as %i thousandths", (text, millis) => {
    expect(parseCpuMillis(text)).toBe(millis);
  });

  it.each(["0", "-1", "half", "1025", "0m", ""])("refuses cpu %j", (text) => {
    expect(usage(() => parseCpuMillis(text))).toContain("--cpu");
  });

  it.each([
    ["90", 90_000],
    ["90s", 90_000],
    ["5m", 300_000],
    ["1h", 3_600_000],
    ["500ms", 500],
    ["0.5", 500],
  ])("reads the time %s as %i ms", (text, ms) => {
    expect(parseDurationMs(text, "--timeout")).toBe(ms);
  });

  it.each(["0", "-5", "soon", "25h", "5 m", ""])("refuses the time %j", (text) => {
    expect(usage(() => parseDurationMs(text, "--timeout"))).toContain("--timeout");
  });

  it("names the bounds of whole numbers", () => {
    expect(parseInteger("3", "--instances", 1, 10)).toBe(3);
    for (const text of ["0", "11", "1.5", "x", "", "-1", "1e1", "0x2"]) {
      expect(usage(() => parseInteger(text, "--instances", 1, 10))).toMatch(/--instances .* 1 to 10/);
    }
  });
});

describe("variables", () => {
  it("cuts at the first = and lets the last of a name win", () => {
    expect(parseVariables(["A=1", "B=x=y", "C=", "A=2"])).toEqual({ A: "2", B: "x=y", C: "" });
  });

  it.each(["A", "=1", "1A=1", "A-B=1", "A B=1"])("refuses %j", (pair) => {
    expect(usage(() => parseVariables([pair]))).toMatch(/KEY=VALUE|name of an environment variable/);
  });

  it("keeps any value as it is", () => {
    fc.assert(
      fc.property(fc.string({ unit: "binary" }), (value) => {
        expect(parseVariables([`KEY=${value}`])).toEqual({ KEY: value });
      }),
    );
  });

  it("takes __proto__ as a name like any other", () => {
    expect(Object.entries(parseVariables(["__proto__=1"]))).toEqual([["__proto__", "1"]]);
  });
});

describe("addresses", () => {
  it.each([
    ["127.0.0.1:7070", { host: "127.0.0.1", port: 7070 }],
    ["[::1]:80", { host: "::1", port: 80 }],
    ["8080", { host: "127.0.0.1", port: 8080 }],
    [":0", { host: "127.0.0.1", port: 0 }],
    ["example.com:443", { host: "example.com", port: 443 }],
  ])("reads %s", (text, address) => {
    expect(parseHostPort(text, "--api")).toEqual(address);
  });

  it.each(["", "localhost", "a:b", "127.0.0.1:65536", "::1:80", "http://a:1"])("refuses %j", (text) => {
    expect(usage(() => parseHostPort(text, "--api"))).toMatch(/--api must be HOST:PORT/);
  });

  it.each([
    ["http://127.0.0.1:7070/", "http://127.0.0.1:7070"],
    ["127.0.0.1:7070", "http://127.0.0.1:7070"],
    ["HTTPS://Dinp.Example.COM", "https://dinp.example.com"],
    ["https://example.com/dinp/", "https://example.com/dinp"],
  ])("reads the API's URL %s as %s", (text, url) => {
    expect(parseApiUrl(text)).toBe(url);
  });

  it.each(["", "ftp://x", "http://user:pw@x", "http://x?y", "http://"])("refuses the URL %j", (text) => {
    expect(usage(() => parseApiUrl(text))).toContain("Not the URL of an API");
  });

  it.each([
    ["shop.example.com", { host: "shop.example.com", path: "/" }],
    ["Shop.Example.com/", { host: "shop.example.com", path: "/" }],
    ["example.com/a/b/", { host: "example.com", path: "/a/b" }],
  ])("reads the domain %s", (text, domain) => {
    expect(parseDomain(text)).toEqual(domain);
  });

  it("tells how to write a domain that came as a URL", () => {
    expect(usage(() => parseDomain("https://shop.example.com/"))).toContain("Write shop.example.com");
  });
});

describe("app names", () => {
  it.each([
    ["/srv/My App", "my-app"],
    ["./Hello_World", "hello-world"],
    ["build-1.2.tar.gz", "build-1-2"],
    ["/x/Café", "cafe"],
    ["/x/--a--", "a"],
    ["/x/日本", null],
    ["/", null],
  ])("makes of %s the name %j", (path, name) => {
    expect(appNameFromPath(path)).toBe(name);
  });

  it("makes only names that are names", () => {
    fc.assert(
      fc.property(fc.string({ unit: "grapheme", maxLength: 200 }), (path) => {
        const name = appNameFromPath(path);
        if (name !== null) expect(parseAppName(name)).toBe(name);
      }),
    );
  });

  it.each(["", "A", "-a", "a-", "a.b", "a".repeat(64)])("refuses %j", (name) => {
    expect(usage(() => parseAppName(name))).toContain("is not a name for an app");
  });
});
