import { expect, it } from "vitest";
import { InitTrailer, parseInitLine } from "../../src/adapters/docker/init-lines.js";

const TOKEN = "0123456789abcdef";
const LINE = `[dinp ${TOKEN}] ended code 3 both\n`;
const FILLER = "\0".repeat(20_000);

/** What comes out of a text that comes in pieces of a size, and what is said at its end. */
function passed(text: string, size: number): { readonly own: string; readonly said: string } {
  const trailer = new InitTrailer(TOKEN);
  const pieces: Uint8Array[] = [];
  const bytes = Buffer.from(text, "latin1");
  for (let at = 0; at < bytes.length; at += size) pieces.push(trailer.push(bytes.subarray(at, at + size)));
  const { line, rest } = trailer.end();
  return { own: Buffer.concat([...pieces, rest]).toString("latin1"), said: line?.type ?? "nothing" };
}

it("says what the first process said last, and passes on what is the command's, however it is cut", () => {
  const texts = [
    "",
    "text",
    "text\n[dinp ",
    `text ${LINE}`,
    LINE + FILLER,
    `${LINE}${LINE}${FILLER}`,
    `${LINE}\0\0\0more`,
    `[dinp ${TOKEN}] ended code 3 bot`,
    `[dinp ${TOKEN}] ended code 3 nonsense\n`,
    `[dinp ${TOKEN}] ${"x".repeat(1_000)}\n`,
    "\0\0\0",
    `${LINE}\0[dinp ${TOKEN}`,
  ];
  for (const text of texts) {
    for (const size of [1, 7, 24, 4_096, 1_000_000]) {
      const small = text.length > 10_000 ? Math.max(size, 1_000) : size;
      expect(passed(text + LINE + FILLER, small)).toEqual({ own: text, said: "ended" });
      expect(passed(text + LINE, small)).toEqual({ own: text, said: "ended" });
      expect(passed(`${text}.`, small)).toEqual({ own: `${text}.`, said: "nothing" });
    }
  }
});

it("holds no more than a filler has, however much looks like it", () => {
  const trailer = new InitTrailer(TOKEN);
  const zeros = Buffer.alloc(1024 * 1024);
  let passedBytes = trailer.push(Buffer.from(LINE)).length;
  for (let count = 0; count < 16; count += 1) passedBytes += trailer.push(zeros).length;
  expect(passedBytes).toBe(LINE.length + 16 * zeros.length);
  expect(trailer.end().line).toBeNull();
});

it("reads the lines of first processes of before, which say nothing on standard output", () => {
  const end = { code: null, signal: "SIGKILL", asked: true };
  expect(parseInitLine(TOKEN, `[dinp ${TOKEN}] ended signal 9 asked`)).toEqual({
    type: "ended",
    end,
    isOnBoth: false,
  });
  expect(parseInitLine(TOKEN, `[dinp ${TOKEN}] ended signal 9 asked both`)).toEqual({
    type: "ended",
    end,
    isOnBoth: true,
  });
});
