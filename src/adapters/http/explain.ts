/** Characters of a failing answer's body that are kept. */
const FIRST_BYTES_MAX = 200;

/** Codes that say that this machine could not try: they say nothing about the instance. */
const OWN_FAULTS: ReadonlySet<string> = new Set([
  "EADDRNOTAVAIL",
  "EAI_AGAIN",
  "EMFILE",
  "ENETDOWN",
  "ENFILE",
  "ENOBUFS",
  "ENOMEM",
]);

const EXPLANATIONS: Readonly<Record<string, string>> = {
  ECONNREFUSED: "connection refused",
  ECONNRESET: "the connection was closed before an answer came",
  EHOSTUNREACH: "the host cannot be reached",
  ENETUNREACH: "the network cannot be reached",
  ENOTFOUND: "the host name is not known",
  EPIPE: "the connection was closed before an answer came",
  ETIMEDOUT: "the connection timed out",
};

/** True when the prober's own machine is at fault. */
export function isOwnFault(error: NodeJS.ErrnoException): boolean {
  return error.code !== undefined && OWN_FAULTS.has(error.code);
}

/** What a connection's error means, for people. */
export function explain(error: NodeJS.ErrnoException): string {
  const { code = "", message } = error;
  if (isOwnFault(error)) return `the prober could not connect: ${message}`;
  if (code.startsWith("HPE_")) return `the answer is not HTTP: ${message}`;
  return EXPLANATIONS[code] ?? message;
}

/** The beginning of a body as one line of printable text. */
export function firstBytesOf(bytes: Uint8Array): string {
  return new TextDecoder()
    .decode(bytes)
    .replace(/[\p{C}\p{Z}\uFFFD]+/gu, " ")
    .trim()
    .slice(0, FIRST_BYTES_MAX);
}
