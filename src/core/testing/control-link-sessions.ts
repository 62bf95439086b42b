import assert from "node:assert/strict";
import type { AgentHello, AgentReport, AgentSession, ServerMessage } from "../ports/control-link.js";
import { later, Reader, rejectsWith, vandalize, within } from "./conformance.js";
import { helloOf, linkCase, messageOf, reportOf, type LinkCase } from "./control-link-harness.js";

/** What a link promises of connections and their ends. */
export const sessionCases: readonly LinkCase[] = [
  linkCase("an agent is accepted, and its hello comes as it was", async (bench) => {
    const hello = { ...helloOf("node-1") };
    const { server } = await bench.pair(hello);
    vandalize(hello);
    assert.deepEqual(server.hello, helloOf("node-1"));
    assert.deepEqual((await bench.pair(withoutMax("node-2"))).server.hello, withoutMax("node-2"));
  }),

  linkCase("agents that call at the same time have a connection each", async (bench) => {
    const names = Array.from({ length: 12 }, (_, index) => `node-${String(index)}`);
    const calls = names.map(async (name) => bench.connect(await bench.harness.agent(name), helloOf(name)));
    const connecting = later(Promise.all(calls));
    const sessions = await bench.sessions.take(names.length);
    const agents = await within(connecting, "all agents to be connected");
    const byName = new Map(sessions.map((session) => [session.hello.nodeId, session]));
    assert.equal(byName.size, names.length);
    const sending = names.map((name, index) => later(sessionOf(byName, name).send(messageOf(index))));
    for (const [index, agent] of agents.entries())
      assert.deepEqual(await new Reader<ServerMessage>(agent.messages()).next(), messageOf(index));
    await within(Promise.all(sending), "the end of sending");
  }),

  linkCase("an agent that is not let in any more does not wait: its signal ends the call", async (bench) => {
    const client = await bench.harness.agent("node-1");
    const gone = AbortSignal.abort();
    await rejectsWith("DINP_ABORTED", () => bench.connect(client, helloOf("node-1"), {}, gone));
    const leaving = new AbortController();
    const call = later(bench.connect(client, helloOf("node-1"), {}, leaving.signal));
    leaving.abort();
    await rejectsWith("DINP_ABORTED", () => call);
    const { server } = await bench.pair(helloOf("node-2"));
    assert.equal(server.hello.nodeId, "node-2", "a call that was given up is not accepted");
  }),

  linkCase("the server's close ends the agent's messages and what waits at both ends", async (bench) => {
    const { server, agent } = await bench.pair();
    const waiting = [later(server.send(messageOf(1))), later(agent.report(reportOf()))];
    await server.close();
    await server.close();
    for (const each of waiting) await rejectsWith("DINP_UNAVAILABLE", () => each);
    await drained(agent.messages());
    await rejectsWith("DINP_UNAVAILABLE", () => server.send(messageOf(2)));
    await rejectsWith("DINP_UNAVAILABLE", () => agent.report(reportOf()));
  }),

  linkCase("the agent's close ends the server's reports and what waits at both ends", async (bench) => {
    const { server, agent } = await bench.pair();
    const waiting = [later(server.send(messageOf(1))), later(agent.report(reportOf()))];
    await agent.close();
    await agent.close();
    for (const each of waiting) await rejectsWith("DINP_UNAVAILABLE", () => each);
    await drained(server.reports());
    await rejectsWith("DINP_UNAVAILABLE", () => server.send(messageOf(2)));
    await rejectsWith("DINP_UNAVAILABLE", () => agent.report(reportOf()));
  }),

  linkCase("when accepting ends, so do the connections that were accepted", async (bench) => {
    const { server, agent } = await bench.pair();
    const [messages, reports] = [later(drained(agent.messages())), later(drained(server.reports()))];
    const end = later(bench.sessions.expectEnd());
    bench.stopAccepting();
    await within(Promise.all([end, messages, reports]), "the end of everything");
    await rejectsWith("DINP_UNAVAILABLE", () => server.send(messageOf(1)));
  }),

  linkCase(
    "a connection that breaks ends at both ends",
    async (bench) => {
      const { server, agent } = await bench.pair();
      const waiting = [later(server.send(messageOf(1))), later(agent.report(reportOf()))];
      await bench.harness.cut?.();
      for (const each of waiting) await rejectsWith("DINP_UNAVAILABLE", () => each);
      await Promise.all([drained(agent.messages()), drained(server.reports())]);
    },
    { requires: "cut", stays: "only links over a network have connections that break" },
  ),
];

function withoutMax(nodeId: string): AgentHello {
  const { address, capacity, labels } = helloOf(nodeId);
  return { nodeId, address, capacity, labels };
}

function sessionOf(byName: ReadonlyMap<string, AgentSession>, name: string): AgentSession {
  const session = byName.get(name);
  assert.ok(session, `no connection of ${name}`);
  return session;
}

/** Reads to the end, which must come by itself. */
async function drained(items: AsyncIterable<AgentReport | ServerMessage>): Promise<void> {
  const reader = new Reader<unknown>(items);
  for (let item = await reader.nextOrEnd(); item !== null;) item = await reader.nextOrEnd();
}
