import type { IncomingMessage } from "node:http";
import { DinpError } from "@dinp/core";

const READ = new Set(["GET", "HEAD"]);

/**
 * Refuses what another site has a browser send (`DINP_FORBIDDEN`). Browsers send `Origin` (RFC 6454 section 7) with every
 * request that may change something, so there it must be, and be the page's own; `Sec-Fetch-Site`, where it is sent, must
 * say so too. The cookie's `SameSite` alone would let in other hosts of the same domain, which may be users' apps.
 */
export function assertOwnOrigin(request: IncomingMessage, publicOrigin: string | null): void {
  const { origin, host, "sec-fetch-site": site } = request.headers;
  const own = publicOrigin ?? `http://${host ?? ""}`;
  const isOwn = origin === undefined ? READ.has(request.method ?? "") : origin === own;
  if (isOwn && (site === undefined || site === "same-origin" || site === "none")) return;
  throw new DinpError("DINP_FORBIDDEN", "This request does not come from the dashboard's own page.", {
    hint:
      publicOrigin === null
        ? "Behind a proxy that speaks https, say the URL that users see: --public-url."
        : `Open the dashboard at ${publicOrigin}.`,
  });
}
