import assert from "node:assert/strict";
import type { AgentReport, ServerMessage } from "../ports/control-link.js";
import { later, Reader, vandalize, within } from "./conformance.js";
import { linkCase, messageOf, reportOf, type LinkCase } from "./control-link-harness.js";

const MANY = 40;

/** What a link promises of messages and reports. */
export const messageCases: readonly LinkCase[] = [
  linkCase("messages arrive in order, each as it was sent", async (bench) => {
    const { server, agent } = await bench.pair();
    const sent = Array.from({ length: MANY }, (_, index) => messageOf(index, `i-${String(index)}`));
    const sending = later(sendAll(sent, (message) => server.send(message)));
    const received = new Reader<ServerMessage>(agent.messages());
    assert.deepEqual(await received.take(MANY), sent);
    await within(sending, "the end of sending");
  }),

  linkCase("reports arrive in order, each as it was sent", async (bench) => {
    const { server, agent } = await bench.pair();
    const sent = [
      { ...reportOf(), full: true },
      ...Array.from({ length: MANY }, (_, index) => reportOf(`i-${String(index)}`, "i-2")),
    ];
    const sending = later(sendAll(sent, (report) => agent.report(report)));
    const received = new Reader<AgentReport>(server.reports());
    assert.deepEqual(await received.take(sent.length), sent);
    await within(sending, "the end of reporting");
  }),

  linkCase("send resolves when the agent has taken the message over, not before", async (bench) => {
    const { server, agent } = await bench.pair();
    const first = watched(server.send(messageOf(1)));
    await bench.roundTrip(server);
    assert.equal(first.isDone(), false, "it resolved though nobody reads");
    await new Reader<ServerMessage>(agent.messages()).next();
    await within(first.done, "send to resolve");
  }),

  linkCase("report resolves when the server has taken the report over, not before", async (bench) => {
    const { server, agent } = await bench.pair();
    const first = watched(agent.report(reportOf("i-1")));
    await bench.roundTrip(server);
    assert.equal(first.isDone(), false, "it resolved though nobody reads");
    await new Reader<AgentReport>(server.reports()).next();
    await within(first.done, "report to resolve");
  }),

  linkCase("messages and reports are copies of what was sent", async (bench) => {
    const { server, agent } = await bench.pair();
    const message = messageOf(7, "i-1");
    const report = reportOf("i-1");
    const sending = [later(server.send(message)), later(agent.report(report))];
    vandalize(message);
    vandalize(report);
    assert.deepEqual(await new Reader<ServerMessage>(agent.messages()).next(), messageOf(7, "i-1"));
    assert.deepEqual(await new Reader<AgentReport>(server.reports()).next(), reportOf("i-1"));
    await within(Promise.all(sending), "the end of sending");
  }),
];

async function sendAll<T>(items: readonly T[], send: (item: T) => Promise<void>): Promise<void> {
  for (const item of items) await send(item);
}

function watched(promise: Promise<void>): { readonly done: Promise<void>; readonly isDone: () => boolean } {
  let isDone = false;
  const done = later(
    promise.finally(() => {
      isDone = true;
    }),
  );
  return { done, isDone: () => isDone };
}
