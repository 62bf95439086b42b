import type { NodeId } from "../model/records.js";

/** What a node shows to be let in. */
export interface AdmissionRequest {
  readonly nodeId: NodeId;
  /** Its key, or a join token. */
  readonly secret: string;
  /** With a join token: the hex SHA-256 of the key that the node will have. Null with a key. */
  readonly newKeyHash: string | null;
}

/** A node that was let in, by the key with this hash. */
export interface Admission {
  readonly nodeId: NodeId;
  readonly keyHash: string;
}

/** Decides which nodes may connect. Errors besides those named: the store's. */
export interface NodeGate {
  /**
   * Lets a node in by its key, or makes it join by a join token and gives it the key of its choice; the same again gives the
   * same. `DINP_UNAUTHENTICATED` (no such key or token, or no longer), `DINP_FORBIDDEN` (revoked), `DINP_CONFLICT` (another
   * node has joined by that id), `DINP_INVALID`.
   */
  admit(request: AdmissionRequest, options: { readonly signal: AbortSignal }): Promise<Admission>;
  /**
   * Gives the node another key; for a while the one before is taken too. The same again does nothing. Refused with
   * `DINP_FORBIDDEN` to whoever was let in by a key that is no longer the newest, and after a revocation.
   */
  rotate(
    admission: Admission,
    newKeyHash: string,
    options: { readonly signal: AbortSignal },
  ): Promise<Admission>;
  /** Every node that is revoked, then each that will be, until the signal aborts. Doubles are allowed, loss is not. */
  watchRevoked(options: { readonly signal: AbortSignal }): AsyncIterable<NodeId>;
}
