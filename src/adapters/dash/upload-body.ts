import type { ClientRequest, IncomingMessage } from "node:http";

/** So much of an upload is kept, to be sent again to the server that a follower names. */
const KEPT_BYTES_MAX = 1024 * 1024;

/**
 * An upload on its way through: read only as fast as the server takes it. Its first piece is kept until it is too much or the
 * server has answered; so long it can be sent to another one.
 */
export class UploadBody {
  readonly #incoming: IncomingMessage;
  readonly #idleMs: number;
  #kept: Buffer[] | null = [];
  #keptBytes = 0;
  #hasEnded = false;
  #target: ClientRequest | null = null;
  #idleTimer: NodeJS.Timeout | undefined;

  /** When nothing is sent or taken for `idleMs`, the client is cut. */
  constructor(incoming: IncomingMessage, idleMs: number) {
    this.#incoming = incoming;
    this.#idleMs = idleMs;
    incoming.pause();
    incoming.on("data", this.#onData);
    incoming.on("end", this.#onEnd);
    incoming.on("close", this.#onClose);
  }

  /** Whether all that was read can be sent once more. */
  get canBeSentAgain(): boolean {
    return this.#kept !== null;
  }

  /** Sends all of it to `target`, which is ended after it. Takes it from the target before. */
  sendTo(target: ClientRequest): void {
    this.#release();
    this.#target = target;
    for (const chunk of this.#kept ?? []) target.write(chunk);
    if (this.#hasEnded) {
      target.end();
      return;
    }
    target.on("drain", this.#onDrain);
    this.#read();
  }

  /** Takes it from its target, and reads no more of it until it has another one. */
  hold(): void {
    this.#release();
    this.#incoming.pause();
  }

  /** Nobody needs more of it: what still comes is thrown away, so that the client gets to read the answer. */
  discard(): void {
    this.#release();
    this.#kept = null;
    if (!this.#hasEnded) this.#read();
  }

  #release(): void {
    this.#target?.off("drain", this.#onDrain);
    this.#target = null;
  }

  #read(): void {
    this.#incoming.resume();
    this.#awaitMore();
  }

  #awaitMore(): void {
    clearTimeout(this.#idleTimer);
    this.#idleTimer = setTimeout(() => {
      this.#incoming.destroy();
    }, this.#idleMs);
  }

  readonly #onData = (chunk: Buffer): void => {
    this.#keep(chunk);
    this.#awaitMore();
    if (this.#target?.write(chunk) === false) this.#incoming.pause();
  };

  readonly #onDrain = (): void => {
    this.#read();
  };

  readonly #onEnd = (): void => {
    this.#hasEnded = true;
    clearTimeout(this.#idleTimer);
    this.#target?.end();
  };

  readonly #onClose = (): void => {
    clearTimeout(this.#idleTimer);
  };

  #keep(chunk: Buffer): void {
    if (this.#kept === null) return;
    this.#keptBytes += chunk.byteLength;
    if (this.#keptBytes > KEPT_BYTES_MAX) this.#kept = null;
    else this.#kept.push(chunk);
  }
}
