import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { runCommand } from "./command.mjs";

const DAYS = "30";

/**
 * Makes a certificate authority (`ca.pem`, `ca.key`) and a certificate of it for localhost and these addresses
 * (`server.pem`, `server.key`) in `folder`.
 *
 * @param {string} folder
 * @param {readonly string[]} [addresses]
 */
export async function makeCertificates(folder, addresses = ["127.0.0.1"]) {
  const ca = join(folder, "ca.pem");
  const caKey = join(folder, "ca.key");
  const certificate = join(folder, "server.pem");
  const key = join(folder, "server.key");
  const request = join(folder, "server.csr");
  const extensions = join(folder, "server.ext");
  const newKey = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"];
  await runCommand("openssl", [
    ...["req", "-x509", ...newKey, "-keyout", caKey, "-out", ca, "-days", DAYS],
    ...["-subj", "/CN=DINP test authority"],
  ]);
  await runCommand("openssl", [
    ...["req", "-new", ...newKey, "-keyout", key, "-out", request, "-subj", "/CN=localhost"],
  ]);
  const names = ["DNS:localhost", ...addresses.map((address) => `IP:${address}`)];
  writeFileSync(extensions, `subjectAltName=${names.join(",")}\nbasicConstraints=CA:FALSE\n`);
  await runCommand("openssl", [
    ...["x509", "-req", "-in", request, "-CA", ca, "-CAkey", caKey, "-CAcreateserial"],
    ...["-out", certificate, "-days", DAYS, "-extfile", extensions],
  ]);
  return { ca, certificate, key };
}
