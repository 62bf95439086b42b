import type { Clock, ImageRef, InstanceSpec, Logger, RunSpec } from "@dinp/core";

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

/** What an app may do beyond the default. Who may grant this is for the caller to decide. */
export interface DockerRelaxation {
  /**
   * `image`: the image's own user, also root. Otherwise a user of the form `UID[:GID]` or a name in the image. Default: the
   * image's user, or 65532:65532 when that is root or none.
   */
  readonly user?: string;
  /** Lets it write to its own copy of the image's files. */
  readonly writableRoot?: boolean;
  /** Capabilities to keep, such as `NET_BIND_SERVICE`. Default: none. */
  readonly capabilities?: readonly string[];
  /** Lets programs that are set-user-id gain what they are marked with. */
  readonly newPrivileges?: boolean;
  /** Processes and threads. Default 512. */
  readonly pidsMax?: number;
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
  /** What an app may do beyond the default. Default: nothing. */
  readonly hardening?: (spec: InstanceSpec | RunSpec) => DockerRelaxation;
  /** A network of the engine's. Default `bridge`. */
  readonly network?: string;
  /** Default: a log that passes 10 MB is cut to its newest 5 to 10 MB. */
  readonly logLimits?: { readonly maxBytes: number };
  /** The longest wait for an answer of the engine. Default 60 s. */
  readonly engineTimeoutMs?: number;
  /** The longest that an image may take to come. Default 15 min. */
  readonly imageTimeoutMs?: number;
}
