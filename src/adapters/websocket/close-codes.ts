/** Why a connection was ended: codes of RFC 6455 section 7.4, and of its range for applications. */
export const closeCodes = Object.freeze({
  normal: 1000,
  goingAway: 1001,
  /** A frame that no end of this protocol would have sent, or not here. */
  badFrame: 4400,
  revoked: 4403,
  /** No sign of life; never sent, only noted. */
  silent: 4408,
  /** A newer connection speaks for the same node. */
  replaced: 4409,
});

/** How a connection ended. */
export interface LinkEnd {
  readonly code: number;
  readonly reason: string;
}

const REASON_BYTES_MAX = 123;

/** As much of a reason as a close frame takes. */
export function closeReason(text: string): string {
  let reason = text;
  while (Buffer.byteLength(reason) > REASON_BYTES_MAX) reason = reason.slice(0, -1);
  return reason;
}
