// write-blob.mjs DIR BYTES: writes a blob of so many bytes to a registry; prints what came of it as JSON.
import { Buffer } from "node:buffer";
import process from "node:process";
import { DinpError } from "@dinp/core";
import { createOciLayoutRegistry } from "@dinp/core/oci-layout";

const [dir = "", bytes = ""] = process.argv.slice(2);
const piece = Buffer.alloc(100_000, 7);

async function* content() {
  for (let left = Number(bytes); left > 0; left -= piece.length) yield piece.subarray(0, left);
}

try {
  const written = await createOciLayoutRegistry({ dir }).writeBlob("apps/hello", content());
  process.stdout.write(JSON.stringify(written));
} catch (error) {
  if (!(error instanceof DinpError) || !(error.cause instanceof Error)) throw error;
  process.stdout.write(JSON.stringify({ code: error.code, cause: Reflect.get(error.cause, "code") }));
}
