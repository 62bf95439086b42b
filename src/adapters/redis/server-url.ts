import type { RedisAddress, RedisCredentials, RedisServer, RedisTls } from "./options.js";

interface ParsedUrl {
  readonly address: RedisAddress;
  readonly credentials: RedisCredentials;
  readonly database: number;
  readonly tls: RedisTls | null;
}

const SHAPE = "redis[s]://[USER:PASSWORD@]HOST[:PORT][/DATABASE]";

/** Throws `TypeError` when it is no such URL; what it says never holds the password. */
export function parseServerUrl({ url: text, tls }: RedisServer): ParsedUrl {
  // Without its text in the message: it may hold a password in a place where none is looked for.
  if (!URL.canParse(text))
    throw new TypeError(`url must be ${SHAPE}, with user and password percent-encoded.`);
  const url = new URL(text);
  const isTls = url.protocol === "rediss:";
  if (!isTls && url.protocol !== "redis:") {
    throw new TypeError(`url must begin with redis:// or rediss://, not ${url.protocol}//.`);
  }
  if (tls !== undefined && !isTls) throw new TypeError("tls needs a url that begins with rediss://.");
  if (url.hostname === "") throw new TypeError(`url must name a host: ${SHAPE}.`);
  const database = /^\/?$/.test(url.pathname) ? "0" : url.pathname.slice(1);
  if (!/^\d{1,5}$/.test(database) || url.search !== "" || url.hash !== "") {
    throw new TypeError(`After the host, url can have a port and the number of a database: ${SHAPE}.`);
  }
  const [username, password] = [decoded(url.username), decoded(url.password)];
  return {
    address: {
      host: url.hostname.replace(/^\[(.*)\]$/, "$1"),
      port: url.port === "" ? 6_379 : Number(url.port),
    },
    credentials: { ...(username === "" ? {} : { username }), ...(password === "" ? {} : { password }) },
    database: Number(database),
    tls: isTls ? (tls ?? {}) : null,
  };
}

function decoded(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    throw new TypeError(`url must have user and password percent-encoded: ${SHAPE}.`);
  }
}
