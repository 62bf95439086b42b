import { describe, expect, it } from "vitest";
import {
  fileNameInUrl,
  isDinpError,
  parseUploadPlace,
  parseUploadUrl,
  shownUrl,
  uploadAddressRefusal,
  uploadPlaceOf,
} from "@dinp/core";

function refusal(url: string, address: string, allowed: readonly string[] = [], own: readonly string[] = []) {
  return uploadAddressRefusal(uploadPlaceOf(new URL(url)), address, allowed.map(parseUploadPlace), own);
}

describe("addresses that uploads may come from", () => {
  it.each([
    ["0.0.0.0", "this machine"],
    ["0.1.2.3", "this machine"],
    ["10.0.0.1", "private"],
    ["10.255.255.255", "private"],
    ["100.64.0.1", "provider"],
    ["100.100.100.200", "provider"],
    ["127.0.0.1", "loopback"],
    ["127.255.255.254", "loopback"],
    ["168.63.129.16", "cloud"],
    ["169.254.169.254", "link-local"],
    ["172.16.0.1", "private"],
    ["172.31.255.255", "private"],
    ["192.0.0.192", "reserved"],
    ["192.0.2.1", "documentation"],
    ["192.168.1.1", "private"],
    ["198.18.0.1", "reserved"],
    ["198.51.100.7", "documentation"],
    ["203.0.113.9", "documentation"],
    ["224.0.0.1", "multicast"],
    ["240.0.0.1", "reserved"],
    ["255.255.255.255", "reserved"],
    ["::", "this machine"],
    ["::1", "loopback"],
    ["::7f00:1", "reserved"],
    ["::ffff:127.0.0.1", "loopback"],
    ["::ffff:7f00:1", "loopback"],
    ["0:0:0:0:0:FFFF:A9FE:A9FE", "link-local"],
    ["::ffff:0:127.0.0.1", "reserved"],
    ["64:ff9b::10.0.0.1", "private"],
    ["64:ff9b:1::8.8.8.8", "reserved"],
    ["2001::1", "tunnel"],
    ["2001:2::1", "reserved"],
    ["2001:db8::1", "documentation"],
    ["2002:7f00:1::", "tunnel"],
    ["3fff::1", "documentation"],
    ["4000::1", "reserved"],
    ["fc00::1", "private"],
    ["fd00:ec2::254", "private"],
    ["fe80::1", "link-local"],
    ["fe80::1%eth0", "link-local"],
    ["fec0::1", "private"],
    ["ff02::1", "multicast"],
    ["127.1", "checked"],
    ["2130706433", "checked"],
    ["0177.0.0.1", "checked"],
    ["1::2::3", "checked"],
    ["12345::", "checked"],
    ["", "checked"],
  ])("refuses %s", (address, kind) => {
    expect(refusal("http://example.com/", address)).toContain(kind);
  });

  it.each([
    "1.1.1.1",
    "100.63.255.255",
    "100.128.0.1",
    "172.15.255.255",
    "172.32.0.1",
    "192.0.1.1",
    "223.255.255.255",
    "2606:4700::1111",
    "2001:4860:4860::8888",
    "2a00:1450::200e",
    "::ffff:8.8.8.8",
    "64:ff9b::8.8.8.8",
  ])("lets %s pass", (address) => {
    expect(refusal("https://example.com/", address)).toBeNull();
  });

  it("refuses the machine's own addresses, in any spelling", () => {
    const own = ["8.8.4.4", "2a00::1", "fe80::2%eth0"];
    expect(refusal("http://a.example/", "8.8.4.4", [], own)).toContain("this machine");
    expect(refusal("http://a.example/", "::ffff:8.8.4.4", [], own)).toContain("this machine");
    expect(refusal("http://a.example/", "2a00:0::0001", [], own)).toContain("this machine");
    expect(refusal("http://a.example/", "8.8.8.8", [], own)).toBeNull();
    expect(refusal("http://a.example/", "8.8.4.4", ["a.example"], own)).toBeNull();
  });

  it.each([
    ["http://nexus.corp/x", "10.1.2.3", "nexus.corp", true],
    ["http://NEXUS.corp./x", "10.1.2.3", "Nexus.Corp", true],
    ["http://nexus.corp:8081/x", "10.1.2.3", "nexus.corp", true],
    ["http://nexus.corp:8081/x", "10.1.2.3", "nexus.corp:8081", true],
    ["http://nexus.corp/x", "10.1.2.3", "nexus.corp:8081", false],
    ["https://nexus.corp/x", "10.1.2.3", "nexus.corp:443", true],
    ["http://evil.nexus.corp/x", "10.1.2.3", "nexus.corp", false],
    ["http://nexus.corp.evil/x", "10.1.2.3", "nexus.corp", false],
    ["http://any.example/x", "10.1.2.3", "10.1.0.0/16", true],
    ["http://any.example/x", "10.2.2.3", "10.1.0.0/16", false],
    ["http://any.example/x", "::ffff:10.1.2.3", "10.1.0.0/16", true],
    ["http://any.example:81/x", "10.1.2.3", "10.1.2.3:81", true],
    ["http://any.example:82/x", "10.1.2.3", "10.1.2.3:81", false],
    ["http://[fd00::5]:8081/x", "fd00::5", "[fd00::5]:8081", true],
    ["http://[fd00::6]:8081/x", "fd00::6", "[fd00::5]:8081", false],
    ["http://[fd00::6]/x", "fd00::6", "[fd00::/8]", true],
    ["http://any.example/x", "169.254.169.254", "0.0.0.0/0", true],
  ])("%s at %s, allowed %s: %s", (url, address, place, allowed) => {
    expect(refusal(url, address, [place]) === null).toBe(allowed);
  });

  it.each([
    "",
    ":80",
    "host:0",
    "host:65536",
    "host:80:90",
    "http://host",
    "host/path",
    "user@host",
    "*.corp",
    "-host",
    "127.1",
    "2130706433",
    "0x7f.0.0.1",
    "10.0.0.1/8",
    "10.0.0.0/33",
    "fd00::/129",
    "[fd00::5",
    "[nexus]:80",
    "a b",
    "a".repeat(300),
  ])("takes %j for no place", (text) => {
    expect(() => parseUploadPlace(text)).toThrow(/is no place of uploads/);
  });
});

describe("URLs of uploads", () => {
  it.each([
    ["ftp://example.com/x", /http and https, not by ftp:/],
    ["file:///etc/passwd", /no URL|file:/],
    ["data:,x", /no URL|data:/],
    ["gopher://example.com/", /gopher:/],
    ["javascript:alert(1)", /no URL|javascript:/],
    ["//example.com/x", /no URL/],
    ["example.com/x", /no URL/],
    ["http://", /no URL/],
    ["http://1.2.3.4.5/", /no URL/],
    ["http://exa mple.com/", /white space/],
    ["http://example.com/\r\nHost: evil", /white space/],
    [" http://example.com/", /white space/],
    ["http://example.com/\u0000", /white space/],
    ["http://user:secret@example.com/x", /user or password before example\.com/],
    ["http://secret@example.com/x", /user or password/],
    ["http://:secret@example.com/x", /user or password/],
    [`http://example.com/${"x".repeat(5_000)}`, /longer than/],
    ["", /no URL/],
  ])("refuses %j without showing secrets", (text, message) => {
    let thrown: unknown = null;
    try {
      parseUploadUrl(text);
    } catch (error) {
      thrown = error;
    }
    if (!isDinpError(thrown, "DINP_INVALID")) throw new Error("not refused", { cause: thrown });
    expect(thrown.message).toMatch(message);
    expect(`${thrown.message}${thrown.hint ?? ""}${JSON.stringify(thrown.details)}`).not.toContain("secret");
  });

  it.each([
    ["http://127.1/", "127.0.0.1"],
    ["http://2130706433/", "127.0.0.1"],
    ["http://0x7f000001/", "127.0.0.1"],
    ["http://0177.0.0.1/", "127.0.0.1"],
    ["http://0/", "0.0.0.0"],
    ["http://[::ffff:7f00:1]/", "::ffff:7f00:1"],
    ["http://[::ffff:127.0.0.1]/", "::ffff:7f00:1"],
    ["http://①②⑦.⓪.⓪.①/", "127.0.0.1"],
  ])("sees through the spelling of %s", (text, host) => {
    const place = uploadPlaceOf(parseUploadUrl(text));
    expect(place.host).toBe(host);
    expect(uploadAddressRefusal(place, host, [], [])).not.toBeNull();
  });

  it("shows a URL without what may be secret, and names the file in it", () => {
    const url = parseUploadUrl("https://a.example/p/My%20shop.war?token=secret#secret");
    expect(shownUrl(url)).toBe("https://a.example/p/My%20shop.war");
    expect(url.href).not.toContain("#");
    expect(fileNameInUrl(url)).toBe("My shop.war");
    for (const path of ["", "a/", "..%2fb", "%2e%2e", "a%00b", "a%1bb", "x".repeat(256), "a%0ab"]) {
      expect(fileNameInUrl(new URL(`https://a.example/${path}`)), path).toBeUndefined();
    }
    expect(fileNameInUrl(new URL("https://a.example/%zz.war"))).toBe("%zz.war");
    expect(shownUrl(new URL(`https://a.example/${"x".repeat(900)}`)).length).toBeLessThanOrEqual(300);
  });
});
