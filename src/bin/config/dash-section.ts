import { duration, hostPort, integer, listOf, optional, text, url, type Settings } from "./setting.js";

/** The dashboard's own. */
export const dashSection = {
  listen: hostPort({
    doc: "where browsers are answered; port 0 takes a free one",
    default: "127.0.0.1:7080",
  }),
  servers: listOf(
    url(["http", "https"], {
      doc: "where the API answers, tried in turn",
      default: "http://127.0.0.1:7070",
    }),
  ),
  caFile: optional(
    text({ doc: "authorities to trust for them in place of the system's, as PEM", form: "FILE" }),
  ),
  publicUrl: optional(
    url(["http", "https"], {
      doc: "where users reach the dashboard, such as https://dash.example.com; needed behind a proxy that speaks TLS",
    }),
  ),
  session: duration(
    { minMs: 60_000, maxMs: 2_592_000_000 },
    { doc: "how long a session lasts", default: "12h" },
  ),
  drain: duration(
    { minMs: 0, maxMs: 3_600_000 },
    { doc: "how long uploads in flight may take at the end", default: "10s" },
  ),
  connectionsMax: integer({ min: 1, max: 100_000 }, { doc: "connections at most", default: "1024" }),
} as const satisfies Settings[string];
