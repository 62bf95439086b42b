import type { DockerCredentials, DockerImages } from "./options.js";

export interface PullImagesOptions {
  /** The registry as the engine reaches it: `HOST[:PORT]`, with a path that comes before all repositories if there is one. */
  readonly host: string;
  /** Asked for at each pull, so that they can change. Default: none. */
  readonly credentials?: () => Promise<DockerCredentials | null>;
}

/**
 * Images that the engine pulls itself, by digest, from a registry. An engine speaks plain HTTP only to registries of its own
 * machine (127.0.0.0/8) and those of its `insecure-registries`.
 */
export function pullImages({ host, credentials }: PullImagesOptions): DockerImages {
  if (!/^[A-Za-z0-9.[\]:-]+(?:\/[a-z0-9._/-]+)?$/.test(host))
    throw new TypeError(`${JSON.stringify(host)} is no address of a registry: use HOST[:PORT].`);
  return {
    bring: async ({ repository, digest }, target) => {
      const known = (await credentials?.()) ?? null;
      await target.pull(`${host}/${repository}@${digest}`, known);
    },
  };
}
