import type { AgentServices, AgentSession, ControlLink, ServerSession } from "@dinp/core";
import { createInProcessControlLink } from "@dinp/core/in-process";
import type { ControlLinkHarness } from "@dinp/core/testing";
import type { Mutant } from "../matrix.js";

/** A harness whose link is wrapped by `mutate`. */
export function linkHarness(mutate: (link: ControlLink) => ControlLink): Promise<ControlLinkHarness> {
  const link = mutate(createInProcessControlLink());
  return Promise.resolve({
    server: link,
    agent: () => Promise.resolve(link),
    cut: null,
    dispose: () => Promise.resolve(),
  });
}

/** A link that does what `breaks` says, and everything else as the good one that it is given. */
export function brokenLink(
  name: string,
  caughtBy: string,
  breaks: (link: ControlLink) => Partial<ControlLink>,
): Mutant<ControlLink> {
  return { name, caughtBy, mutate: (link) => ({ ...forwarding(link), ...breaks(link) }) };
}

/** A link whose server's ends of connections do what `breaks` says. */
export function brokenSession(
  name: string,
  caughtBy: string,
  breaks: (session: AgentSession) => Partial<AgentSession>,
): Mutant<ControlLink> {
  return brokenLink(name, caughtBy, (link) => ({
    async *accept(options) {
      for await (const session of link.accept(options)) yield { ...session, ...breaks(session) };
    },
  }));
}

/** A link whose agents' ends of connections do what `breaks` says. */
export function brokenAgent(
  name: string,
  caughtBy: string,
  breaks: (session: ServerSession) => Partial<ServerSession>,
): Mutant<ControlLink> {
  return brokenLink(name, caughtBy, (link) => ({
    connect: async (hello, options) => {
      const session = await link.connect(hello, options);
      return { ...session, ...breaks(session) };
    },
  }));
}

/** A link that offers the server what `breaks` makes of the agents' services. */
export function brokenServices(
  name: string,
  caughtBy: string,
  breaks: (services: AgentServices) => Partial<AgentServices>,
): Mutant<ControlLink> {
  return brokenLink(name, caughtBy, (link) => ({
    connect: (hello, options) => link.connect(hello, { ...options, ...breaks(options) }),
  }));
}

function forwarding(link: ControlLink): ControlLink {
  return {
    accept: (options) => link.accept(options),
    connect: (hello, options) => link.connect(hello, options),
  };
}
