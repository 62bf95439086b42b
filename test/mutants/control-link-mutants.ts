import { DinpError, isDinpError, type ControlLink, type ExecEvent, type ServerMessage } from "@dinp/core";
import type { Mutant } from "./matrix.js";
import { brokenAgent, brokenLink, brokenServices, brokenSession } from "./support/broken-link.js";

const ACCEPTED = "an agent is accepted, and its hello comes as it was";
const ABORTED = "an agent that is not let in any more does not wait: its signal ends the call";
const COPIES = "messages and reports are copies of what was sent";
const SERVER_CLOSE = "the server's close ends the agent's messages and what waits at both ends";
const AGENT_CLOSE = "the agent's close ends the server's reports and what waits at both ends";
const LEAVES = "a reader that leaves ends a stream at the agent";
const ENDED = "the request's signal ends a stream at the agent, and then for its reader";
const BEGINS = "a stream begins when its first item is asked for";
const IDLE = "a stream that nobody reads is not read from, and holds up nothing else";
const SERVER_STREAMS = "the server's close ends every stream, at both ends";
const AGENT_STREAMS = "the agent's close ends every stream, at both ends";
const FAILS = "an agent's error comes with its code and all that it tells, after what came before";

export const controlLinkMutants: readonly Mutant<ControlLink>[] = [
  brokenSession("labels are lost", ACCEPTED, ({ hello }) => ({ hello: { ...hello, labels: {} } })),

  brokenLink("hello is not copied", ACCEPTED, (link) => {
    const hellos = new Map<string, object>();
    return {
      async *accept(options) {
        for await (const session of link.accept(options))
          yield { ...session, hello: Object.assign(session.hello, hellos.get(session.hello.nodeId)) };
      },
      connect: (hello, options) => {
        hellos.set(hello.nodeId, hello);
        return link.connect(hello, options);
      },
    };
  }),

  brokenLink(
    "only one agent at a time has a connection",
    "agents that call at the same time have a connection each",
    (link) => ({
      async *accept(options) {
        let last: { close(): Promise<void> } | null = null;
        for await (const session of link.accept(options)) {
          await last?.close();
          last = session;
          yield session;
        }
      },
    }),
  ),

  brokenLink("a call that was given up goes on", ABORTED, (link) => ({
    connect: (hello, options) => link.connect(hello, { ...options, signal: new AbortController().signal }),
  })),

  brokenLink("a call that was given up tells of trouble", ABORTED, (link) => ({
    connect: async (hello, options) => {
      try {
        return await link.connect(hello, options);
      } catch (error) {
        if (isDinpError(error, "DINP_ABORTED")) throw new DinpError("DINP_TIMEOUT", "Waited in vain.");
        throw error;
      }
    },
  })),

  brokenSession("a server's close is kept to itself", SERVER_CLOSE, () => ({
    close: () => Promise.resolve(),
  })),
  brokenAgent("an agent's close is kept to itself", AGENT_CLOSE, () => ({ close: () => Promise.resolve() })),

  brokenSession("sending to nobody succeeds", SERVER_CLOSE, ({ send }) => ({
    send: (message) => send(message).catch(() => undefined),
  })),
  brokenAgent("reporting to nobody succeeds", AGENT_CLOSE, ({ report }) => ({
    report: (report_) => report(report_).catch(() => undefined),
  })),

  brokenSession(
    "sending over a connection that the server closed succeeds",
    SERVER_CLOSE,
    ({ send, close }) => {
      const closing = noting(close);
      return { ...closing, send: (message) => (closing.isClosed() ? Promise.resolve() : send(message)) };
    },
  ),
  brokenAgent(
    "reporting over a connection that the agent closed succeeds",
    AGENT_CLOSE,
    ({ report, close }) => {
      const closing = noting(close);
      return { ...closing, report: (report_) => (closing.isClosed() ? Promise.resolve() : report(report_)) };
    },
  ),

  brokenLink(
    "connections outlive who accepted them",
    "when accepting ends, so do the connections that were accepted",
    (link) => {
      const { signal } = new AbortController();
      return {
        async *accept(options) {
          const sessions = link.accept({ signal })[Symbol.asyncIterator]();
          const over = new Promise<null>((resolve) => {
            options.signal.addEventListener("abort", () => {
              resolve(null);
            });
          });
          for (;;) {
            const next = await Promise.race([sessions.next(), over]);
            if (next === null || next.done === true) return;
            yield next.value;
          }
        },
      };
    },
  ),

  brokenAgent(
    "the newest message comes first",
    "messages arrive in order, each as it was sent",
    ({ messages }) => ({
      async *messages() {
        let held: ServerMessage | null = null;
        for await (const message of messages()) {
          if (message.assign[0]?.placement.instanceId === "i-3") held = message;
          else yield message;
          if (held !== null && message.epoch === 4) yield held;
        }
      },
    }),
  ),

  brokenSession(
    "a full report looks like any other",
    "reports arrive in order, each as it was sent",
    ({ reports }) => ({
      async *reports() {
        for await (const report of reports()) yield { ...report, full: false };
      },
    }),
  ),

  brokenSession(
    "send does not wait for the agent",
    "send resolves when the agent has taken the message over, not before",
    ({ send }) => ({
      send: (message) => soon(send(message)),
    }),
  ),

  brokenAgent(
    "report does not wait for the server",
    "report resolves when the server has taken the report over, not before",
    ({ report }) => ({
      report: (report_) => soon(report(report_)),
    }),
  ),

  brokenSession("a message is copied late", COPIES, ({ send }) => ({
    send: async (message) => {
      await Promise.resolve();
      return send(message);
    },
  })),

  brokenServices(
    "the number of lines is not told",
    "logs: the request reaches the agent, and the lines come in order, to their end",
    ({ logs }) => ({
      logs: (request) => logs({ ...request, tail: request.tail === 30 ? 100 : request.tail }),
    }),
  ),

  brokenServices(
    "output is taken for text",
    "exec: command and input reach the agent, and all bytes of the output come",
    ({ exec }) => ({
      async *exec(request) {
        for await (const event of exec(request)) yield event.type === "output" ? asText(event) : event;
      },
    }),
  ),

  brokenServices(
    "grants are not told",
    "run: the one-off reaches the agent as it was asked for",
    ({ run }) => ({
      run: ({ runId, appName, release, command, signal }) =>
        run({ runId, appName, release, command, signal }),
    }),
  ),

  brokenSession("every error is an internal one", FAILS, ({ logs }) => ({
    async *logs(request) {
      try {
        yield* logs(request);
      } catch (error) {
        if (isDinpError(error, "DINP_BUSY")) throw new DinpError("DINP_INTERNAL", error.message);
        throw error;
      }
    },
  })),

  brokenSession("a stream begins by itself", BEGINS, ({ logs }) => ({
    logs: (request) => {
      const items = logs(request)[Symbol.asyncIterator]();
      let first: Promise<IteratorResult<{ instanceId: string; text: string }>> | null = items.next();
      first.catch(() => undefined);
      return {
        [Symbol.asyncIterator]: () => ({
          next: () => {
            const next = first ?? items.next();
            first = null;
            return next;
          },
          return: () => items.return?.() ?? Promise.resolve({ done: true, value: undefined }),
        }),
      };
    },
  })),

  brokenServices("the end is not told to a stream", ENDED, (services) => ({
    exec: (request) => endless(services.exec, request),
  })),

  brokenSession("a signal is not passed on", ENDED, ({ logs }) => ({
    logs: (request) => logs({ ...request, signal: new AbortController().signal }),
  })),

  brokenSession("a reader that leaves is not missed", LEAVES, ({ exec }) => ({
    exec: (request) => {
      const items = exec(request)[Symbol.asyncIterator]();
      return { [Symbol.asyncIterator]: () => ({ next: () => items.next() }) };
    },
  })),

  brokenSession("a stream is read ahead without a bound", IDLE, ({ exec }) => ({
    async *exec(request) {
      const ahead: ExecEvent[] = [];
      let bytes = 0;
      for await (const event of exec(request)) {
        if (request.command[0] !== "yes" || event.type === "exit") {
          yield event;
          continue;
        }
        ahead.push(event);
        bytes += event.bytes.length;
        if (bytes > 16 * 1024 * 1024) break;
      }
      yield* ahead;
    },
  })),

  brokenSession(
    "a stream of a connection that the server closed is empty",
    SERVER_STREAMS,
    ({ logs, close }) => {
      const closing = noting(close);
      return {
        ...closing,
        async *logs(request) {
          if (!closing.isClosed()) yield* logs(request);
        },
      };
    },
  ),

  brokenLink("a stream that an agent's close cuts looks whole", AGENT_STREAMS, (link) => {
    let isClosed = false;
    return {
      connect: async (hello, options) => {
        const session = await link.connect(hello, options);
        const close = (): Promise<void> => {
          isClosed = true;
          return session.close();
        };
        return { ...session, close };
      },
      async *accept(options) {
        for await (const session of link.accept(options)) {
          yield {
            ...session,
            async *logs(request) {
              try {
                yield* session.logs(request);
              } catch (error) {
                if (!isClosed) throw error;
              }
            },
          };
        }
      },
    };
  }),
];

/** A `close` that is remembered. */
function noting(close: () => Promise<void>) {
  let isClosed = false;
  return {
    isClosed: () => isClosed,
    close: () => {
      isClosed = true;
      return close();
    },
  };
}

/** Resolves when `sent` does, or in a little while. */
async function soon(sent: Promise<void>): Promise<void> {
  const late = async (): Promise<void> => {
    for (let round = 0; round < 60; round += 1) await Promise.resolve();
  };
  sent.catch(() => undefined);
  await Promise.race([sent, late()]);
}

function asText(event: Extract<ExecEvent, { readonly type: "output" }>): ExecEvent {
  return { ...event, bytes: new TextEncoder().encode(new TextDecoder().decode(event.bytes)) };
}

/** Serves a command whose signal never aborts. */
function endless<Request extends { readonly signal: AbortSignal }>(
  serve: (request: Request) => AsyncIterable<ExecEvent>,
  request: Request,
): AsyncIterable<ExecEvent> {
  return serve({ ...request, signal: new AbortController().signal });
}
