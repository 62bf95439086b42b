import type { ControlLinkClient } from "@dinp/core";

/** The same link, and whether a server is connected by it. */
export interface WatchedLink {
  readonly link: ControlLinkClient;
  readonly isConnected: () => boolean;
}

export function watchLink(link: ControlLinkClient): WatchedLink {
  const open = new Set<symbol>();
  return {
    isConnected: () => open.size > 0,
    link: {
      connect: async (hello, options) => {
        const session = await link.connect(hello, options);
        const mark = Symbol(hello.nodeId);
        open.add(mark);
        return {
          report: (report) => session.report(report),
          async *messages() {
            try {
              yield* session.messages();
            } finally {
              open.delete(mark);
            }
          },
          close: async () => {
            open.delete(mark);
            await session.close();
          },
        };
      },
    },
  };
}
