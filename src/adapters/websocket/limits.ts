/** The protocol's name and version, as it is negotiated by `Sec-WebSocket-Protocol` (RFC 6455 section 1.9). */
export const PROTOCOL = "dinp-link.1";

/** Where the link is, unless it is told otherwise. */
export const DEFAULT_PATH = "/v1/link";

/** Messages (or reports) that may be under way to a reader that has not taken them over. */
export const WINDOW_MESSAGES = 8;

/** Messages that may wait for their turn at the sender. */
export const WAITING_MESSAGES_MAX = 64;

/** Bytes of frames that the source of a stream may be ahead of its reader. */
export const WINDOW_BYTES = 256 * 1024;

/** The longest frame of a stream's item. */
export const ITEM_BYTES_MAX = 256 * 1024;

/** Output of a command is sent in pieces of at most this many bytes. */
export const PIECE_BYTES_MAX = 64 * 1024;

/** Streams of one connection at a time. */
export const STREAMS_MAX = 256;

/** The longest frame of all, unless it is told otherwise: what names all placements of a large node. */
export const DEFAULT_FRAME_BYTES_MAX = 32 * 1024 * 1024;

export const DEFAULT_PING_MS = 5_000;

/** Looks for a sign of life, one `pingMs` apart, that may find none before the other end counts as gone. */
export const SILENT_LOOKS_MAX = 3;

/** How long the other end may take to answer the closing handshake. */
export const CLOSE_MS_MAX = 1_000;

/** How long a command that was told to end may take until its agent says that it has. */
export const LAST_WORD_MS_MAX = 60_000;
