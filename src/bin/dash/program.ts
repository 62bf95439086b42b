import { fileURLToPath } from "node:url";
import type { Metrics } from "@dinp/core";
import { createDash, readPageFiles, type DashRequestRecord } from "@dinp/core/dash";
import { createSystemClock, createSystemRandom } from "@dinp/core/system";
import { dashSection } from "../config/dash-section.js";
import { readPem } from "../config/read-pem.js";
import type { Settings, ValuesOf } from "../config/setting.js";
import { urlOf } from "../router/request-router.js";
import type { Program, ProgramContext } from "../service/run-program.js";

const settings = { dash: dashSection } as const satisfies Settings;

type Config = ValuesOf<typeof settings>;

/** The program `dinp-dash`. `programUrl`: of its own file, `dist/bin/NAME.js`, beside which the page was built. */
export function dashProgram(programUrl: string): Program<typeof settings> {
  const pageFolder = fileURLToPath(new URL("../adapters/dash/page/", programUrl));
  return {
    name: "dinp-dash",
    ownSection: "dash",
    settings,
    about: `The dashboard: a page on which users sign in with a token, see their apps and instances, deploy images and files, scale,
and go back to older releases. All that it does it asks of the platform's API (--servers), with the user's own token; that stays
in this program's memory, the browser has a cookie for the session.

Behind a proxy that speaks TLS say the URL that users see (--public-url). SIGTERM and SIGINT: sessions end, uploads in flight may
end within --drain. Exit codes: 0 stopped by a signal, 1 failed, 2 wrong usage.`,
    check: async ({ dash }) => {
      await readPem("dash.caFile", dash.caFile);
      const files = await readPageFiles(pageFolder);
      return [`the page: ${String(files.size)} files`];
    },
    run: (config, context) => run(config, pageFolder, context),
  };
}

async function run({ dash: own }: Config, pageFolder: string, context: ProgramContext): Promise<void> {
  const { logger, metrics, observer, interrupt, undo, say } = context;
  const ca = await readPem("dash.caFile", own.caFile);
  let isListening = false;
  observer.check("page", () => (isListening ? null : "not served yet"));
  const dash = createDash({
    listen: own.listen,
    servers: own.servers,
    files: await readPageFiles(pageFolder),
    clock: createSystemClock(),
    random: createSystemRandom(),
    logger,
    ca: ca ?? undefined,
    publicUrl: own.publicUrl ?? undefined,
    sessionMs: own.session,
    connectionsMax: own.connectionsMax,
    onRequest: measureRequests(metrics),
  });
  metrics.gauge({ name: "dinp_dash_sessions", help: "Sessions that have not ended" }, () => dash.sessions);
  undo.push(() => dash.close({ drainMs: own.drain }));
  const url = urlOf(await dash.start());
  isListening = true;
  say(`dinp-dash shows the platform of ${own.servers.join(", ")} at ${own.publicUrl ?? url}`);
  if (own.publicUrl !== null) say(`dinp-dash listens on ${url}`);
  await interrupt.stopped();
}

const SECONDS = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300];

function measureRequests(metrics: Metrics): (record: DashRequestRecord) => void {
  const requests = metrics.counter({
    name: "dinp_dash_requests_total",
    help: "Requests that ended, by what they asked for and the class of their status (0xx: the client went away)",
    labels: ["kind", "status"],
  });
  const seconds = metrics.histogram({
    name: "dinp_dash_request_duration_seconds",
    help: "From the head of a request to the end of its answer",
    labels: ["kind"],
    buckets: SECONDS,
  });
  return ({ kind, status, durationMs }) => {
    requests.add(1, { kind, status: `${String(Math.floor((status ?? 0) / 100))}xx` });
    seconds.observe(durationMs / 1_000, { kind });
  };
}
