import { DinpError } from "@dinp/core";
import type { RegistryClient } from "./client.js";
import { unavailable } from "./errors.js";
import { parseJson } from "./json.js";
import type { RepositoryPlace } from "./repository-place.js";
import type { Answer } from "./answer.js";

const PAGE_BYTES_MAX = 16 * 1024 * 1024;
const PAGE_TAGS = 1_000;
const NEXT = /<([^>]*)>\s*;[^,]*\brel\s*=\s*"?next"?/i;

/** The tags of a repository, page after page (distribution-spec 1.1, "Listing Tags"); none of one that is not there. */
export async function readTags(
  place: RepositoryPlace,
  signal: AbortSignal | undefined,
): Promise<readonly string[]> {
  const { client, repository, name, scope } = place;
  const { tagsMax } = client.settings.limits;
  const tags = new Set<string>();
  let target: string | URL | null = `${name}/tags/list?n=${String(PAGE_TAGS)}`;
  // A page without a new tag would have no end.
  for (let before = -1; target !== null && tags.size > before;) {
    before = tags.size;
    target = await client.call({ method: "GET", target, scope, signal }, async (answer) => {
      if (answer.status === 404) {
        await client.assertNotThere(answer, signal);
        return null;
      }
      if (answer.status !== 200) throw await client.failure(answer, `list the tags of ${repository}`);
      for (const tag of await tagsOf(answer)) tags.add(tag);
      return nextPage(client, answer);
    });
    if (tags.size > tagsMax) {
      throw new DinpError("DINP_TOO_LARGE", `${repository} has more than ${String(tagsMax)} tags.`, {
        hint: "Delete those that nothing needs, or raise the limit tagsMax of this client.",
      });
    }
  }
  return [...tags];
}

async function tagsOf(answer: Answer): Promise<readonly string[]> {
  const tags = parseJson(await answer.bytes(PAGE_BYTES_MAX))?.["tags"];
  if (tags === null) return [];
  if (Array.isArray(tags)) return tags.filter((tag) => typeof tag === "string");
  throw unavailable("The registry answers a list of tags that is none.", { retryable: true });
}

function nextPage(client: RegistryClient, answer: Answer): URL | null {
  const link = NEXT.exec(answer.header("link") ?? "")?.[1];
  return link === undefined ? null : client.transport.resolveLocation(link, answer.url);
}
