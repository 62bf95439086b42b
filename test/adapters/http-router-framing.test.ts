import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { RawClient } from "./support/raw-client.js";
import { answerWhole, parseRequests, startRawEndpoint } from "./support/raw-endpoint.js";
import { route, type RouterRig, startRouterRig } from "./support/router-rig.js";
import { until } from "./support/until.js";

const HOST = "Host: x.test\r\n";
const GET = `GET / HTTP/1.1\r\n${HOST}`;
const POST = `POST / HTTP/1.1\r\n${HOST}`;
const CHUNKED = "Transfer-Encoding: chunked\r\n";
const ABC = "3\r\nabc\r\n0\r\n\r\n";

/** A request that is refused with `status`, or forwarded as `line` with `body`. */
type Case =
  | { readonly name: string; readonly bytes: string; readonly status: number }
  | { readonly name: string; readonly bytes: string; readonly line: string; readonly body: string };

const refused = (status: number, name: string, bytes: string): Case => ({ name, bytes, status });
const forwarded = (name: string, bytes: string, line: string, body = ""): Case => ({
  name,
  bytes,
  line,
  body,
});

const cases: readonly Case[] = [
  refused(400, "1 length and coding", `${POST}Content-Length: 5\r\n${CHUNKED}\r\n${ABC}`),
  refused(400, "1 coding and length", `${POST}${CHUNKED}Content-Length: 5\r\n\r\n${ABC}`),
  forwarded(
    "2 chunked DELETE",
    `DELETE /d HTTP/1.1\r\n${HOST}${CHUNKED}\r\n${ABC}`,
    "DELETE /d HTTP/1.1",
    "abc",
  ),
  forwarded(
    "2 chunked OPTIONS",
    `OPTIONS /o HTTP/1.1\r\n${HOST}${CHUNKED}\r\n${ABC}`,
    "OPTIONS /o HTTP/1.1",
    "abc",
  ),
  forwarded("2 chunked GET", `${GET}${CHUNKED}\r\n${ABC}`, "GET / HTTP/1.1", "abc"),
  forwarded("2 GET with a length", `${GET}Content-Length: 3\r\n\r\nabc`, "GET / HTTP/1.1", "abc"),
  forwarded(
    "2 DELETE of length 0",
    `DELETE / HTTP/1.1\r\n${HOST}Content-Length: 0\r\n\r\n`,
    "DELETE / HTTP/1.1",
  ),
  refused(400, "3 empty coding", `${POST}Transfer-Encoding: ,chunked\r\n\r\n${ABC}`),
  refused(400, "4 identity last", `${POST}Transfer-Encoding: chunked, identity\r\n\r\n${ABC}`),
  refused(400, "4 identity first", `${POST}Transfer-Encoding: identity, chunked\r\n\r\n${ABC}`),
  refused(400, "4 gzip", `${POST}Transfer-Encoding: gzip, chunked\r\n\r\n${ABC}`),
  refused(400, "5 coding twice", `${POST}${CHUNKED}${CHUNKED}\r\n${ABC}`),
  refused(400, "5 two codings", `${POST}Transfer-Encoding: identity\r\n${CHUNKED}\r\n${ABC}`),
  refused(400, "6 space before the colon", `${POST}Transfer-Encoding : chunked\r\n\r\n${ABC}`),
  forwarded(
    "7 tab before the value",
    `${POST}Transfer-Encoding:\tchunked\r\n\r\n${ABC}`,
    "POST / HTTP/1.1",
    "abc",
  ),
  refused(400, "7 vertical tab", `${POST}Transfer-Encoding: \x0bchunked\r\n\r\n${ABC}`),
  refused(400, "7 0xFF", `${POST}Transfer-Encoding: chunked\xff\r\n\r\n${ABC}`),
  refused(400, "7 other name", `${POST}Transfer-Encoding: xchunked\r\n\r\n${ABC}`),
  ...["+5", "0x5", "5,5", "-1", "", "5 5", "5.0", "99999999999999999999"].map((value) =>
    refused(400, `8 length ${JSON.stringify(value)}`, `${POST}Content-Length: ${value}\r\n\r\nhello`),
  ),
  refused(400, "9 two lengths", `${POST}Content-Length: 5\r\nContent-Length: 6\r\n\r\nhello!`),
  refused(400, "9 the same length twice", `${POST}Content-Length: 5\r\nContent-Length: 5\r\n\r\nhello`),
  refused(400, "10 underscore in a chunk size", `${POST}${CHUNKED}\r\n0_2e\r\nabc\r\n0\r\n\r\n`),
  refused(400, "10 hexadecimal prefix", `${POST}${CHUNKED}\r\n0x3\r\nabc\r\n0\r\n\r\n`),
  refused(400, "10 overflow", `${POST}${CHUNKED}\r\nffffffffffffffff1\r\nabc\r\n0\r\n\r\n`),
  refused(400, "11 LF-only chunk ends", `${POST}${CHUNKED}\r\n3\nabc\n0\n\n`),
  refused(400, "11 LF after chunk data", `${POST}${CHUNKED}\r\n3\r\nabc\n0\r\n\r\n`),
  refused(400, "12 CR and another byte after a chunk", `${POST}${CHUNKED}\r\n3\r\nabc\rX0\r\n\r\n`),
  refused(400, "12 CR and another byte after a size", `${POST}${CHUNKED}\r\n3\rXabc\r\n0\r\n\r\n`),
  refused(
    400,
    "13 chunk extension of 1 MB",
    `${POST}${CHUNKED}\r\n3;${"a".repeat(2 ** 20)}\r\nabc\r\n0\r\n\r\n`,
  ),
  refused(400, "14 folded field", `${GET}X-A: b\r\n c\r\n\r\n`),
  refused(400, "14 folded coding", `${POST}Transfer-Encoding:\r\n chunked\r\n\r\n${ABC}`),
  refused(400, "15 CR in a value", `${GET}X-A: b\rc\r\n\r\n`),
  refused(400, "15 LF in a value", `${GET}X-A: b\nX-B: c\r\n\r\n`),
  refused(400, "15 NUL in a value", `${GET}X-A: b\0c\r\n\r\n`),
  refused(400, "16 Host twice", `${GET}${HOST}\r\n`),
  refused(400, "16 two hosts", `${GET}Host: y.test\r\n\r\n`),
  refused(400, "17 no Host", "GET / HTTP/1.1\r\n\r\n"),
  refused(400, "17 empty Host", "GET / HTTP/1.1\r\nHost:\r\n\r\n"),
  refused(400, "17 HTTP/1.0 without Host", "GET / HTTP/1.0\r\n\r\n"),
  ...["a@b", "a/..", "a:99999", "x.test,y.test", "x.test y", "x.test:8o", "[::1"].map((value) =>
    refused(400, `18 Host ${value}`, `GET / HTTP/1.1\r\nHost: ${value}\r\n\r\n`),
  ),
  ...["X.Test", "x.test.", "x.test:80", "x.test:"].map((value) =>
    forwarded(`19 Host ${value}`, `GET / HTTP/1.1\r\nHost: ${value}\r\n\r\n`, "GET / HTTP/1.1"),
  ),
  ...["[::1]:80", "xn--bcher-kva.test", "127.0.0.1"].map((value) =>
    refused(404, `19 Host ${value}`, `GET / HTTP/1.1\r\nHost: ${value}\r\n\r\n`),
  ),
  refused(400, "20 another host in the target", `GET http://y.test/ HTTP/1.1\r\n${HOST}\r\n`),
  refused(400, "20 user in the target", `GET http://u@x.test/ HTTP/1.1\r\n${HOST}\r\n`),
  forwarded("20 the same host", `GET http://x.test/p?q HTTP/1.1\r\n${HOST}\r\n`, "GET /p?q HTTP/1.1"),
  forwarded("20 no path", `GET http://x.test?q HTTP/1.1\r\n${HOST}\r\n`, "GET /?q HTTP/1.1"),
  refused(405, "21 CONNECT", "CONNECT x.test:443 HTTP/1.1\r\nHost: x.test:443\r\n\r\n"),
  refused(405, "22 TRACE", `TRACE / HTTP/1.1\r\n${HOST}\r\n`),
  forwarded("22 OPTIONS *", `OPTIONS * HTTP/1.1\r\n${HOST}\r\n`, "OPTIONS * HTTP/1.1"),
  refused(400, "22 GET *", `GET * HTTP/1.1\r\n${HOST}\r\n`),
  refused(400, "25 chunked in HTTP/1.0", `POST / HTTP/1.0\r\n${HOST}${CHUNKED}\r\n${ABC}`),
  refused(505, "25 HTTP/0.9", "GET /\r\n\r\n"),
  refused(400, "25 HTTP/9.9", `GET / HTTP/9.9\r\n${HOST}\r\n`),
  refused(505, "25 HTTP/2.0", `GET / HTTP/2.0\r\n${HOST}\r\n`),
  forwarded("25 HTTP/1.0", `GET / HTTP/1.0\r\n${HOST}\r\n`, "GET / HTTP/1.1"),
  refused(
    417,
    "26 Expect twice",
    `${POST}Expect: 100-continue\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\nab`,
  ),
  refused(417, "26 unknown Expect", `${POST}Expect: a miracle\r\nContent-Length: 2\r\n\r\nab`),
  forwarded(
    "28 Host in a trailer",
    `${POST}${CHUNKED}\r\n3\r\nabc\r\n0\r\nHost: y.test\r\n\r\n`,
    "POST / HTTP/1.1",
    "abc",
  ),
  refused(
    400,
    "28 Content-Length in a trailer",
    `${POST}${CHUNKED}\r\n3\r\nabc\r\n0\r\nContent-Length: 7\r\n\r\n`,
  ),
  forwarded(
    "29 h2c upgrade",
    `${GET}Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABk\r\n\r\n`,
    "GET / HTTP/1.1",
  ),
  refused(
    400,
    "29 h2c upgrade with a body",
    `${POST}Connection: Upgrade\r\nUpgrade: h2c\r\nContent-Length: 3\r\n\r\nabc`,
  ),
  refused(
    400,
    "29 WebSocket with a body",
    `${GET}Connection: Upgrade\r\nUpgrade: websocket\r\nContent-Length: 3\r\n\r\nabc`,
  ),
  refused(
    431,
    "34 2,000 fields",
    `${GET}${Array.from({ length: 2_000 }, (_, i) => `X${String(i)}: 1\r\n`).join("")}\r\n`,
  ),
  refused(431, "34 a target of 64 KB", `GET /${"a".repeat(65_536)} HTTP/1.1\r\n${HOST}\r\n`),
  refused(400, "control character in the target", `GET /a\x01b HTTP/1.1\r\n${HOST}\r\n`),
  refused(400, "fragment in the target", `GET /a#b HTTP/1.1\r\n${HOST}\r\n`),
  refused(400, "relative target", `GET a HTTP/1.1\r\n${HOST}\r\n`),
  refused(400, "bare LF line ends", "GET / HTTP/1.1\nHost: x.test\n\n"),
  refused(400, "space before the first field", `GET / HTTP/1.1\r\n ${HOST}\r\n`),
  refused(400, "a TLS hello", "\x16\x03\x01\x02\x00\r\n\r\n"),
  forwarded(
    "double slashes and dots as they came",
    `GET //a/../b;c?d=//e HTTP/1.1\r\n${HOST}\r\n`,
    "GET //a/../b;c?d=//e HTTP/1.1",
  ),
];

describe("framing: refused, or exactly one well-formed request upstream", () => {
  let rig: RouterRig;
  beforeAll(async () => {
    rig = await startRouterRig();
  });
  afterAll(() => rig.close());

  it.each(cases)("$name", async (each) => {
    const endpoint = await startRawEndpoint("i-1");
    await rig.publish([route("x.test", [endpoint.endpoint])]);
    const client = await RawClient.open(rig.port);
    // What follows a refused request must never be taken for a second one (31).
    const smuggled = "GET /smuggled HTTP/1.1\r\nHost: x.test\r\n\r\n";
    client.send("status" in each && each.status !== 404 ? each.bytes + smuggled : each.bytes);
    const answer = await client.answer();
    if ("status" in each) {
      expect(answer.status).toBe(each.status);
      expect(answer.fields.get("x-dinp-error")).toMatch(/^[a-z_]+$/);
      if (each.status !== 404) await client.whenClosed();
      expect(client.answers()).toHaveLength(1);
      await until(() => endpoint.openConnections() === 0, "the end of every connection to the endpoint");
      expect(parseRequests(endpoint.bytes()).requests).toEqual([]);
      expect(endpoint.bytes()).not.toContain("smuggled");
    } else {
      expect(answer).toMatchObject({ status: 200, body: "ok" });
      const { requests, rest } = parseRequests(endpoint.bytes());
      expect(rest).toBe("");
      expect(requests.map(({ line, body }) => ({ line, body }))).toEqual([
        { line: each.line, body: each.body },
      ]);
    }
    client.socket.destroy();
    await endpoint.close();
  });

  it("10 a chunk gone wrong after a good one: the endpoint sees a request cut short, never a whole one", async () => {
    const endpoint = await startRawEndpoint("i-1", answerWhole());
    await rig.publish([route("x.test", [endpoint.endpoint])]);
    const client = await RawClient.open(rig.port);
    client.send(`${POST}${CHUNKED}\r\n3\r\nabc\r\n`);
    await until(() => endpoint.bytes().includes("3\r\nabc\r\n"), "the first chunk at the endpoint");
    client.send("0x1\r\nd\r\n0\r\n\r\nGET /smuggled HTTP/1.1\r\nHost: x.test\r\n\r\n");
    expect(await client.answer()).toMatchObject({ status: 400 });
    await client.whenClosed();
    await until(() => endpoint.openConnections() === 0, "the end of the connection to the endpoint");
    const { requests, rest } = parseRequests(endpoint.bytes());
    expect(requests).toEqual([]);
    expect(rest).toMatch(/\r\n\r\n3\r\nabc\r\n$/);
    await endpoint.close();
  });

  it("31 pipelined requests before a malformed one are answered, then the refusal, then nothing", async () => {
    const endpoint = await startRawEndpoint("i-1");
    await rig.publish([route("x.test", [endpoint.endpoint])]);
    const client = await RawClient.open(rig.port);
    const get = (path: string): string => `GET ${path} HTTP/1.1\r\n${HOST}\r\n`;
    client.send(`${get("/1")}${get("/2")}GARBAGE\r\n\r\n${get("/3")}`);
    await client.whenClosed();
    expect(client.answers().map(({ status }) => status)).toEqual([200, 200, 400]);
    const lines = parseRequests(endpoint.bytes()).requests.map(({ line }) => line);
    expect(lines).toEqual(["GET /1 HTTP/1.1", "GET /2 HTTP/1.1"]);
    await endpoint.close();
  });
});
