import { DinpError, type Archive, type ArchiveEntry, type ByteStream } from "@dinp/core";
import { ByteReader } from "./byte-reader.js";
import { EntryContent } from "./entry-content.js";
import { EntryHeaders } from "./entry-headers.js";
import { GuardedSource } from "./guarded-source.js";
import { gunzip } from "./gunzip.js";
import { paddingOf } from "./header.js";
import { ReadMeter } from "./read-meter.js";

/** The entries of an archive; see `Archive.read`. */
export async function* readTar(
  bytes: ByteStream,
  options: Parameters<Archive["read"]>[1],
): AsyncGenerator<ArchiveEntry, void, undefined> {
  const { format } = options;
  if (format !== "tar" && format !== "tar.gz") {
    throw new DinpError("DINP_ARCHIVE_REFUSED", `Uploads of the format ${format} are not read here.`, {
      hint: "Send a .tar.gz file, as `tar -czf app.tar.gz .` makes it.",
    });
  }
  const source = new GuardedSource(bytes, options.signal);
  const meter = new ReadMeter(options);
  const reader = new ByteReader(
    meter.unpacked(format === "tar.gz" ? gunzip(meter.compressed(source)) : source),
  );
  const headers = new EntryHeaders(reader, meter);
  const asRefusal = (error: unknown): unknown => source.failure?.error ?? meter.refusal(error);
  try {
    for (;;) {
      // Most entries lie whole in a piece: for thousands of them it costs more to wait than to read.
      const header = headers.nextAtHand() ?? (await headers.next());
      if (header === null) return;
      const { path, type, mode, linkTarget, contentBytes } = header;
      meter.enter(path, contentBytes);
      const size = type === "file" ? contentBytes : 0;
      const content = new EntryContent(reader, size, meter, asRefusal);
      yield { path, type, mode, size, linkTarget, content };
      if (content.isAwaited) await content.settled();
      const rest = content.close() + (contentBytes - size) + paddingOf(contentBytes);
      if (!reader.pass(rest) && !(await reader.skip(rest))) throw meter.truncated();
    }
  } catch (error) {
    throw asRefusal(error);
  } finally {
    source.stop();
    reader.close();
  }
}
