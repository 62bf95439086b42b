import assert from "node:assert/strict";
import { DinpError } from "../model/errors.js";
import type { AgentExecRequest, AgentRunRequest, AgentSession, LogRequest } from "../ports/control-link.js";
import type { ExecEvent, LogLine } from "../ports/runtime.js";
import { collect, eventually, later, Reader, rejectsWith, within } from "./conformance.js";
import {
  gate,
  helloOf,
  linkCase,
  messageOf,
  sampleGrants,
  sampleRelease,
  type LinkCase,
} from "./control-link-harness.js";

/** More than any link may read ahead of a reader that takes nothing. */
const READ_AHEAD_BYTES_MAX = 8 * 1024 * 1024;
const PIECE_BYTES = 64 * 1024;

/** What a link promises of logs, commands and one-offs. */
export const streamCases: readonly LinkCase[] = [
  linkCase(
    "logs: the request reaches the agent, and the lines come in order, to their end",
    async (bench) => {
      const lines = Array.from({ length: 500 }, (_, index) => line(`${String(index)} ✓\u001b[0m`));
      const asked: object[] = [];
      const { server } = await bench.pair(helloOf("node-1"), {
        logs: ({ instanceId, tail, follow }) => {
          asked.push({ instanceId, tail, follow });
          return each(lines);
        },
      });
      const request = { instanceId: "i-1", tail: 30, follow: true };
      assert.deepEqual(await collect(server.logs({ ...request, signal: never() })), lines);
      assert.deepEqual(asked, [request]);
    },
  ),

  linkCase("exec: command and input reach the agent, and all bytes of the output come", async (bench) => {
    const bytes = Uint8Array.from({ length: 256 * 1024 }, (_, index) => (index * 31) % 256);
    const { server } = await bench.pair(helloOf("node-1"), {
      exec: async function* ({ instanceId, command, stdin }) {
        const given = [instanceId, command, stdin === undefined ? null : [...stdin]];
        yield* each<ExecEvent>([output("stderr", new TextEncoder().encode(JSON.stringify(given)))]);
        // Runtimes give Buffers as well, which say other things to JSON.
        const [first, rest] = [bytes.subarray(0, 1_000), Buffer.from(bytes.subarray(1_000))];
        yield* each<ExecEvent>([output("stdout", first), output("stdout", rest), exit]);
      },
    });
    const request = { instanceId: "i-1", command: ["a b", "", "ü\n"], signal: never() };
    const withInput = await collect(server.exec({ ...request, stdin: Uint8Array.of(0, 255, 10) }));
    assert.deepEqual(told(withInput), ["i-1", request.command, [0, 255, 10]]);
    const partOfBuffer = Buffer.of(1, 0, 255, 10).subarray(1);
    const withBuffer = await collect(server.exec({ ...request, stdin: partOfBuffer }));
    assert.deepEqual(told(withBuffer), ["i-1", request.command, [0, 255, 10]]);
    assert.deepEqual(Buffer.concat(bytesOf(withInput, "stdout")).equals(bytes), true);
    assert.deepEqual(withInput.at(-1), exit);
    assert.deepEqual(told(await collect(server.exec(request))), ["i-1", request.command, null]);
  }),

  linkCase("run: the one-off reaches the agent as it was asked for", async (bench) => {
    const asked: object[] = [];
    const { server } = await bench.pair(helloOf("node-1"), {
      run: (asking) => {
        asked.push({ ...asking, signal: undefined });
        return each([exit]);
      },
    });
    const request = { runId: "run-1", appName: "web", release: sampleRelease, command: ["node", "-v"] };
    assert.deepEqual(await collect(server.run({ ...request, signal: never() })), [exit]);
    await collect(server.run({ ...request, grants: sampleGrants, signal: never() }));
    const expected = [request, { ...request, grants: sampleGrants }];
    assert.deepEqual(
      asked,
      expected.map((each_) => ({ ...each_, signal: undefined })),
    );
  }),

  linkCase(
    "an agent's error comes with its code and all that it tells, after what came before",
    async (bench) => {
      const more = { retryable: true, hint: "Wait.", details: { memoryMb: 7 } };
      const { server } = await bench.pair(helloOf("node-1"), {
        logs: async function* () {
          yield* each([line("one")]);
          throw new DinpError("DINP_BUSY", "Too much.", more);
        },
      });
      const reader = new Reader(server.logs(logRequest(never())));
      assert.deepEqual(await reader.next(), line("one"));
      const { message, retryable, hint, details } = await rejectsWith("DINP_BUSY", () => reader.next());
      assert.deepEqual({ message, retryable, hint, details }, { message: "Too much.", ...more });
    },
  ),

  linkCase("a stream begins when its first item is asked for", async (bench) => {
    let begun = 0;
    const { server } = await bench.pair(helloOf("node-1"), {
      logs: (request) => {
        if (request.tail === 1) begun += 1;
        return each([line("one")]);
      },
    });
    const waiting = server.logs({ ...logRequest(never()), tail: 1 });
    await bench.roundTrip(server);
    assert.equal(begun, 0, "it began by itself");
    assert.equal((await collect(waiting)).length, 1);
    assert.equal(begun, 1);
  }),

  linkCase("the request's signal ends a stream at the agent, and then for its reader", async (bench) => {
    const { services, ended } = endless();
    const { server } = await bench.pair(helloOf("node-1"), services);
    for (const [index, open] of openers(server).entries()) {
      const stopping = new AbortController();
      const items = open(stopping.signal)[Symbol.asyncIterator]();
      await within(items.next(), "the first item");
      stopping.abort();
      await within(exhaust(items), "the end of the stream");
      await eventually(() => ended() === index + 1, "the agent to be told of the end");
    }
  }),

  linkCase("a reader that leaves ends a stream at the agent", async (bench) => {
    const { services, ended } = endless();
    const { server } = await bench.pair(helloOf("node-1"), services);
    for (const [index, open] of openers(server).entries()) {
      const items = open(never())[Symbol.asyncIterator]();
      await within(items.next(), "the first item");
      await within(leave(items), "the end of the stream");
      await eventually(() => ended() === index + 1, "the agent to be told of the end");
    }
  }),

  linkCase("a stream that nobody reads is not read from, and holds up nothing else", async (bench) => {
    let produced = 0;
    const piece = new Uint8Array(PIECE_BYTES).fill(65);
    const { server, agent } = await bench.pair(helloOf("node-1"), {
      exec: async function* () {
        for (;;) {
          produced += piece.length;
          yield* each<ExecEvent>([output("stdout", piece)]);
        }
      },
      logs: () => each([line("one")]),
    });
    const reader = new Reader(server.exec({ instanceId: "i-1", command: ["yes"], signal: never() }));
    await reader.next();
    const messages = new Reader(agent.messages());
    for (let round = 0; round < 20; round += 1) {
      const sending = later(server.send(messageOf(round)));
      await messages.next();
      await within(sending, "a message to be taken over");
      await collect(server.logs(logRequest(never())));
    }
    assert.ok(
      produced <= READ_AHEAD_BYTES_MAX,
      `${String(produced)} bytes were read for a reader of one piece`,
    );
  }),

  ...(["server", "agent"] as const).map((end) =>
    linkCase(`the ${end}'s close ends every stream, at both ends`, async (bench) => {
      const { services, ended } = endless();
      const pair = await bench.pair(helloOf("node-1"), services);
      const reader = new Reader(pair.server.logs(logRequest(never())));
      await reader.next();
      const next = later(unread(reader));
      await pair[end].close();
      await rejectsWith("DINP_UNAVAILABLE", () => next);
      await eventually(() => ended() === 1, "the agent to be told of the end");
      await rejectsWith("DINP_UNAVAILABLE", () => collect(pair.server.logs(logRequest(never()))));
    }),
  ),
];

/** Log lines without an end but the signal's; `ended` counts the streams whose signal aborted. */
function endless() {
  let ended = 0;
  const lines = async function* (signal: AbortSignal): AsyncGenerator<LogLine, void, undefined> {
    const over = gate();
    const tell = (): void => {
      ended += 1;
      over.open();
    };
    if (signal.aborted) tell();
    else signal.addEventListener("abort", tell, { once: true });
    yield line("one");
    await over.opened;
  };
  const events = async function* (signal: AbortSignal): AsyncGenerator<ExecEvent, void, undefined> {
    for await (const { text } of lines(signal)) yield output("stdout", new TextEncoder().encode(text));
    throw new DinpError("DINP_ABORTED", "The command was ended.");
  };
  return {
    ended: () => ended,
    services: {
      logs: ({ signal }: LogRequest) => lines(signal),
      exec: ({ signal }: AgentExecRequest) => events(signal),
      run: ({ signal }: AgentRunRequest) => events(signal),
    },
  };
}

function openers(server: AgentSession): readonly ((signal: AbortSignal) => AsyncIterable<unknown>)[] {
  const command = ["true"];
  return [
    (signal) => server.logs(logRequest(signal)),
    (signal) => server.exec({ instanceId: "i-1", command, signal }),
    (signal) => server.run({ runId: "run-1", appName: "web", release: sampleRelease, command, signal }),
  ];
}

async function leave(items: AsyncIterator<unknown>): Promise<void> {
  await items.return?.();
}

/** Reads on to the end, which a command tells as `DINP_ABORTED`. */
async function exhaust(items: AsyncIterator<unknown>): Promise<void> {
  try {
    while ((await items.next()).done !== true);
  } catch (error) {
    if (!(error instanceof DinpError && error.code === "DINP_ABORTED")) throw error;
  }
}

async function unread(reader: Reader<unknown>): Promise<void> {
  while ((await reader.nextOrEnd()) !== null);
}

/** A signal that does not abort. */
function never(): AbortSignal {
  return new AbortController().signal;
}

function logRequest(signal: AbortSignal): LogRequest {
  return { instanceId: "i-1", tail: 10, follow: false, signal };
}

function line(text: string): LogLine {
  return { instanceId: "i-1", text };
}

function output(stream: "stdout" | "stderr", bytes: Uint8Array): ExecEvent {
  return { type: "output", stream, bytes };
}

const exit: ExecEvent = { type: "exit", code: null, signal: "SIGTERM", message: "its memory" };

function bytesOf(events: readonly ExecEvent[], stream: "stdout" | "stderr"): Uint8Array[] {
  return events.flatMap((event) => (event.type === "output" && event.stream === stream ? [event.bytes] : []));
}

function told(events: readonly ExecEvent[]): unknown {
  return JSON.parse(Buffer.concat(bytesOf(events, "stderr")).toString());
}

async function* each<T>(items: readonly T[]): AsyncGenerator<T, void, undefined> {
  for (const item of items) {
    await Promise.resolve();
    yield item;
  }
}
