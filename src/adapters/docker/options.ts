import type { AppGrants, Clock, ImageRef, InstanceSpec, Logger, RunSpec } from "@dinp/core";

/** Where a Docker engine is. One that is reached by TCP without `tls` obeys whoever can reach it. */
export type DockerEngineAddress =
  | { readonly socketPath: string }
  | { readonly host: string; readonly port: number; readonly tls?: DockerTls };

/** PEM texts. */
export interface DockerTls {
  readonly ca: string;
  readonly cert: string;
  readonly key: string;
}

/** Where images go: the engine, as an image source sees it. */
export interface DockerImageTarget {
  /** The engine's processor, as OCI images name it (`amd64`, `arm64`). */
  readonly architecture: string;
  /** Whether the engine has all of these layers (digests of their uncompressed bytes, the lowest first), in this order. */
  hasLayers(diffIds: readonly string[]): boolean;
  /** Loads an archive as `docker save` makes it. */
  load(archive: AsyncIterable<Uint8Array>): Promise<void>;
  /** Has the engine pull `reference` (`HOST/REPOSITORY@DIGEST`) and gives it the image's name here. */
  pull(reference: string, credentials: DockerCredentials | null): Promise<void>;
  /** The name under which the runtime looks for the image: `load` must give it. */
  readonly name: string;
  readonly signal: AbortSignal;
}

/** Brings images to the engine: {@link loadImages}, {@link pullImages}, or one of your own. */
export interface DockerImages {
  /** Whether images come by {@link DockerImageTarget.load}, which is then begun when one is expected. Default: false. */
  readonly loads?: boolean;
  /**
   * Brings the image whole, or rejects: `DINP_IMAGE_NOT_FOUND`, `DINP_DIGEST_MISMATCH`, `DINP_UNAVAILABLE`. Ends when the
   * target's signal aborts.
   */
  bring(image: ImageRef, target: DockerImageTarget): Promise<void>;
}

/** For one registry. Never shown in an error or a log. */
export interface DockerCredentials {
  readonly username: string;
  readonly password: string;
}

export interface DockerRuntimeOptions {
  /** Default: the socket `/var/run/docker.sock`. */
  readonly engine?: DockerEngineAddress;
  /** Marks containers, images and volumes: 1 to 64 of `A-Z a-z 0-9 . _ -`, beginning with a letter or digit. */
  readonly clusterId: string;
  /** The engine's machine's address on which instances' ports are published. Default `127.0.0.1`. */
  readonly nodeAddress?: string;
  readonly images: DockerImages;
  readonly clock: Clock;
  readonly logger?: Logger;
  /** What an app may do beyond the default. Default: what its specification grants. */
  readonly hardening?: (spec: InstanceSpec | RunSpec) => AppGrants;
  /** A network of the engine's. Default `bridge`. */
  readonly network?: string;
  /** Default: a log that passes 10 MB is cut to its newest 5 to 10 MB. */
  readonly logLimits?: { readonly maxBytes: number };
  /** The longest wait for an answer of the engine. Default 60 s. */
  readonly engineTimeoutMs?: number;
  /** The longest that an image may take to come. Default 15 min. */
  readonly imageTimeoutMs?: number;
}
