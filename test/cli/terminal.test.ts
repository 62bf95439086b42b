import type { RolloutView } from "@dinp/core/client";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { RolloutDisplay } from "../../src/adapters/cli/rollout-display.js";
import { Output } from "../../src/adapters/cli/terminal.js";
import { progressBar, UploadProgress } from "../../src/adapters/cli/upload-progress.js";
import { Capture } from "./streams.js";

const ESCAPE = "\u001B";

describe("an output", () => {
  it("has colors on a terminal only, and not when NO_COLOR or TERM=dumb says so", () => {
    const terminal = new Capture({ tty: true });
    expect(new Output(terminal, {}).paint("red", "x")).toContain(ESCAPE);
    expect(new Output(terminal, { NO_COLOR: "" }).paint("red", "x")).toContain(ESCAPE);
    expect(new Output(terminal, { NO_COLOR: "1" }).paint("red", "x")).toBe("x");
    expect(new Output(terminal, { TERM: "dumb" }).paint("red", "x")).toBe("x");
    expect(new Output(new Capture(), {}).paint("red", "x")).toBe("x");
  });

  it("changes its live region in place, and keeps lines above it", () => {
    const terminal = new Capture({ tty: true, columns: 20 });
    const output = new Output(terminal, {});
    output.line("first");
    output.live([{ text: "a" }, { text: "b" }]);
    output.live([{ text: "c" }]);
    expect(terminal.screen).toEqual(["first", "c", ""]);
    output.line("second");
    expect(terminal.screen).toEqual(["first", "second", ""]);
  });

  it("cuts live lines that would wrap, and shows no more than the screen holds", () => {
    const terminal = new Capture({ tty: true, columns: 20, rows: 3 });
    const output = new Output(terminal, {});
    output.live([{ text: "x".repeat(50), color: "red" }, { text: "b" }, { text: "c" }]);
    expect(terminal.screen).toHaveLength(3);
    output.clearLive();
    expect(terminal.screen).toEqual([""]);
  });

  it("has no live region elsewhere", () => {
    const pipe = new Capture();
    new Output(pipe, {}).live([{ text: "a" }]);
    expect(pipe.text).toBe("");
  });
});

describe("the upload's progress", () => {
  it("draws a bar", () => {
    expect(progressBar(0, 10)).toBe("[          ]");
    expect(progressBar(0.5, 10)).toBe("[====>     ]");
    expect(progressBar(1, 10)).toBe("[==========]");
    expect(progressBar(7, 10)).toBe("[==========]");
  });

  async function upload(stream: Capture): Promise<void> {
    let now = 0;
    const progress = new UploadProgress(new Output(stream, { NO_COLOR: "1" }), { now: () => (now += 100) });
    progress.total({ totalBytes: 4000, files: 2 });
    const source = async function* (): AsyncGenerator<Uint8Array> {
      for (let read = 1000; read <= 4000; read += 1000) {
        await Promise.resolve();
        progress.read(read);
        yield new Uint8Array(500);
      }
    };
    for await (const chunk of progress.count(source())) expect(chunk.length).toBe(500);
    progress.done();
  }

  it("moves on a terminal and ends as one line", async () => {
    const terminal = new Capture({ tty: true });
    await upload(terminal);
    expect(terminal.text).toContain("50 %  2.0 kB of 4.0 kB");
    expect(terminal.screen).toHaveLength(2);
    expect(terminal.screen[0]).toMatch(/^Uploaded 2 files, 4.0 kB as 2.0 kB, in \d/);
  });

  it("is one plain line elsewhere", async () => {
    const pipe = new Capture();
    await upload(pipe);
    expect(pipe.text).toMatch(/^Uploaded 2 files, [^\n]*\n$/);
    expect(pipe.text).not.toContain(ESCAPE);
  });
});

function view(ready: number, instances: RolloutView["instances"]): RolloutView {
  return {
    number: 3,
    state: "running",
    reason: "",
    logTail: [],
    wanted: 2,
    ready,
    instances,
    startedAt: 0,
    endedAt: null,
  };
}

const starting = { node: "n1", phase: "starting", ready: false, reason: "" } as const;
const ready = { node: "n1", phase: "running", ready: true, reason: "" } as const;
const ended = { node: "n1", phase: "exited", ready: false, reason: "exit \u001B[31mcode\n 1" } as const;

describe("the account of a rollout", () => {
  beforeEach(() => {
    vi.useFakeTimers();
  });
  afterEach(() => {
    vi.useRealTimers();
  });

  it("is a line for each change where there is no terminal", () => {
    const pipe = new Capture();
    const display = new RolloutDisplay(new Output(pipe, {}), { now: () => 0 });
    display.update(view(0, [{ id: "inst-aaa", ...starting }]));
    display.update(view(0, [{ id: "inst-aaa", ...starting }]));
    display.update(
      view(1, [
        { id: "inst-aaa", ...ready },
        { id: "inst-bbb", ...ended },
      ]),
    );
    display.end();
    expect(pipe.text.split("\n")).toEqual([
      "  instance aaa on n1 starting",
      "  instance aaa on n1 ready (1 of 2)",
      "  instance bbb on n1 ended: exit code 1",
      "",
    ]);
  });

  it("changes in place on a terminal, and leaves its last state and no timer", () => {
    const terminal = new Capture({ tty: true });
    const display = new RolloutDisplay(new Output(terminal, { NO_COLOR: "1" }), { now: Date.now });
    display.update(view(0, [{ id: "inst-aaa", ...starting }]));
    expect(terminal.screen[0]).toBe("  instance aaa on n1 starting");
    vi.advanceTimersByTime(3_000);
    expect(terminal.screen).toHaveLength(3);
    expect(terminal.screen[1]).toBe("Rolling out release 3: 0 of 2 ready, 3.0 s");
    display.update(view(1, [{ id: "inst-aaa", ...ready }]));
    display.end();
    expect(terminal.screen).toEqual(["  instance aaa on n1 ready", ""]);
    expect(vi.getTimerCount()).toBe(0);
  });

  it("shows the worst of many instances, and how many more there are", () => {
    const terminal = new Capture({ tty: true, rows: 8 });
    const display = new RolloutDisplay(new Output(terminal, { NO_COLOR: "1" }), { now: Date.now });
    const many = Array.from({ length: 50 }, (_, index) => ({
      id: `inst-${String(index)}`,
      ...(index === 49 ? starting : ready),
    }));
    display.update(view(49, many));
    expect(terminal.screen[0]).toBe("  instance 49 on n1 starting");
    expect(terminal.screen).toContain("  and 48 more");
    display.end();
  });
});
