// --- src/core/loops/a.ts breaks dinp/core-globals (outside)
export const later = (then: () => void) => setTimeout(then, 10);

// --- src/core/loops/a.ts breaks dinp/core-globals (outside)
export const again = (then: () => void) => setInterval(then, 10);

// --- src/core/loops/a.ts breaks dinp/core-globals (outside)
export const soon = (then: () => void) => setImmediate(then);

// --- src/core/model/a.ts breaks dinp/core-globals (outside)
export const id = () => crypto.randomUUID();

// --- src/core/platform/a.ts breaks dinp/core-globals (outside)
export const home = () => process.env["HOME"];

// --- src/core/build/a.ts breaks dinp/core-globals (outside)
export const bytes = (text: string) => Buffer.from(text);

// --- src/core/ports/a.ts breaks dinp/core-globals (outside)
export type Bytes = Buffer;

// --- src/core/ports/a.ts breaks dinp/core-globals (outside)
export type Timer = NodeJS.Timeout;

// --- src/core/platform/a.ts breaks dinp/core-globals (outside)
export const get = (url: string) => fetch(url);

// --- src/core/loops/a.ts breaks dinp/core-globals (outside)
export const now = () => performance.now();

// --- src/core/plan/a.ts breaks dinp/core-globals (outside)
export const say = (text: string) => {
  console.log(text);
};

// --- src/core/loops/a.ts breaks dinp/core-globals (outside)
export const soon = (then: () => void) => {
  globalThis.setTimeout(then, 10);
};

// --- src/core/loops/a.ts is legal
export const host = (text: string, signal: AbortSignal): string => {
  signal.throwIfAborted();
  const parts: Record<string, readonly string[]> = { host: [new URL(text).host] };
  return new TextDecoder().decode(new TextEncoder().encode(JSON.stringify(parts)));
};
export const any = (signals: AbortSignal[]): AbortSignal => AbortSignal.any(signals);
export const chunks = (body: ReadableStream<Uint8Array>): AsyncIterable<Uint8Array> => body;

// --- src/core/testing/a.ts is legal
export const later = (then: () => void) => setTimeout(then, Date.now() % 10);

// --- src/adapters/system/a.ts is legal
export const later = (then: () => void) => setTimeout(then, Date.now() % 10);

// --- src/core/plan/a.ts breaks no-restricted-properties (restrictedObjectProperty)
export const now = () => Date.now();

// --- src/core/plan/a.ts breaks no-restricted-properties (restrictedObjectProperty)
export const now = () => {
  const { now: read } = Date;
  return read();
};

// --- src/core/model/a.ts breaks no-restricted-properties (restrictedObjectProperty)
export const random = () => Math.random();

// --- src/core/loops/a.ts breaks no-restricted-properties (restrictedObjectProperty)
export const soon = () => AbortSignal.timeout(10);

// --- src/core/loops/a.ts breaks no-restricted-syntax (restrictedSyntax)
export const now = () => new Date();

// --- src/core/loops/a.ts breaks no-restricted-syntax (restrictedSyntax)
export const now = () => Date();

// --- src/core/routing/a.ts breaks no-restricted-syntax (restrictedSyntax)
export const now = () => new Date();

// --- src/core/plan/a.ts is legal
export const text = (now: number) => new Date(now).toISOString();
export const most = (values: readonly number[]) => Math.max(...values);
