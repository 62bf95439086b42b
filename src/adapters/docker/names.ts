import { createHash } from "node:crypto";
import type { ImageRef } from "@dinp/core";

/** What marks a container, volume or image as a cluster's. */
export const labels = {
  cluster: "io.dinp.cluster",
  /** `instance`, `one-off`, `tools`, `build-step` or `image-work`. */
  kind: "io.dinp.kind",
  /** Of which image's making. */
  work: "io.dinp.work",
  instance: "io.dinp.instance",
  app: "io.dinp.app",
  release: "io.dinp.release",
  image: "io.dinp.image",
  port: "io.dinp.port",
  memoryMb: "io.dinp.memory-mb",
  startedAt: "io.dinp.started-at",
  /** In the lines of the container's first process. */
  token: "io.dinp.token",
  /** Why its command cannot be executed, when that was known before. */
  problem: "io.dinp.problem",
} as const;

/** A path component of an image's name (distribution-spec 1.1). */
const COMPONENT = /^[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*$/;

/** The names of a cluster's containers, images and volumes. */
export class Names {
  readonly clusterId: string;
  readonly #component: string;

  constructor(clusterId: string) {
    this.clusterId = clusterId;
    const hash = createHash("sha256").update(clusterId).digest("hex").slice(0, 12);
    this.#component = COMPONENT.test(clusterId) ? clusterId : `x${hash}`;
  }

  container(instanceId: string): string {
    return `dinp-${this.clusterId}-${instanceId}`;
  }

  /** What all images of the cluster's begin with. */
  get imagePrefix(): string {
    return `dinp-${this.#component}/`;
  }

  /** The name under which the engine keeps the image for the cluster. */
  image({ repository, digest }: ImageRef): string {
    return `${this.imagePrefix}${repository}:${digest.replace(/^sha256:/, "")}`;
  }

  tools(version: string): string {
    return `dinp-${this.clusterId}-tools-${version}`;
  }

  toolsImage(tag: string): string {
    return `${this.imagePrefix}tools:${tag}`;
  }
}

/** `REPOSITORY@DIGEST` */
export function imageText({ repository, digest }: ImageRef): string {
  return `${repository}@${digest}`;
}

export function parseImageText(text: string): ImageRef | null {
  const at = text.lastIndexOf("@");
  return at < 1 ? null : { repository: text.slice(0, at), digest: text.slice(at + 1) };
}
