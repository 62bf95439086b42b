/** A file of an archive: its size is known before its bytes come. */
export interface ArchiveFile {
  readonly path: string;
  readonly size: number;
  readonly mode?: number;
  readonly bytes: AsyncIterable<Uint8Array>;
}

const BLOCK = 512;

/** A tar of these files (POSIX.1-1988 ustar; sizes of 8 GiB and above as GNU writes them). */
export async function* tarOf(
  files: Iterable<ArchiveFile> | AsyncIterable<ArchiveFile>,
): AsyncGenerator<Uint8Array, void, undefined> {
  for await (const file of files) yield* tarHead(file);
  yield Buffer.alloc(2 * BLOCK);
}

/** A file as the beginning of a tar, which goes on with other files or ends as {@link tarOf} does. */
export async function* tarHead(file: ArchiveFile): AsyncGenerator<Uint8Array, void, undefined> {
  yield tarHeader(file.path, file.size, file.mode ?? 0o644);
  let size = 0;
  for await (const piece of file.bytes) {
    size += piece.length;
    yield piece;
  }
  if (size !== file.size)
    throw new Error(`${file.path} has ${String(size)} bytes where ${String(file.size)} were told`);
  yield Buffer.alloc((BLOCK - (size % BLOCK)) % BLOCK);
}

/** A tar of small files and, with a path that ends with `/`, folders. */
export function smallTar(files: readonly { path: string; mode: number; bytes: Uint8Array }[]): Uint8Array {
  const pieces = files.flatMap(({ path, mode, bytes }) => [
    tarHeader(path, bytes.length, mode),
    bytes,
    Buffer.alloc((BLOCK - (bytes.length % BLOCK)) % BLOCK),
  ]);
  return Buffer.concat([...pieces, Buffer.alloc(2 * BLOCK)]);
}

/** The bytes as a stream of one piece. */
export async function* oneOf(bytes: Uint8Array): AsyncGenerator<Uint8Array, void, undefined> {
  yield await Promise.resolve(bytes);
}

export function textFile(path: string, text: string): ArchiveFile {
  const bytes = Buffer.from(text);
  return { path, size: bytes.length, bytes: oneOf(bytes) };
}

function tarHeader(path: string, size: number, mode: number): Uint8Array {
  const header = Buffer.alloc(BLOCK);
  header.write(path, 0, 100, "utf8");
  writeOctal(header, mode, 100, 8);
  writeOctal(header, 0, 108, 8);
  writeOctal(header, 0, 116, 8);
  if (size < 8 ** 11) writeOctal(header, size, 124, 12);
  else {
    header.writeUInt8(0x80, 124);
    header.writeBigUInt64BE(BigInt(size), 128);
  }
  writeOctal(header, 0, 136, 12);
  header.fill(" ", 148, 156);
  header.write(path.endsWith("/") ? "5" : "0", 156);
  header.write("ustar\0" + "00", 257, "latin1");
  const sum = header.reduce((total, byte) => total + byte, 0);
  header.write(`${sum.toString(8).padStart(6, "0")}\0 `, 148, "latin1");
  return header;
}

function writeOctal(header: Buffer, value: number, at: number, length: number): void {
  header.write(`${value.toString(8).padStart(length - 1, "0")}\0`, at, "latin1");
}
