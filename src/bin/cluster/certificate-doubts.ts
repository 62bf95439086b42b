import { X509Certificate } from "node:crypto";
import { isIP } from "node:net";
import type { Logger, Metrics } from "@dinp/core";

const DAY_MS = 86_400_000;
/** Whoever renews by hand wants to know of it in time. */
const SOON_MS = 14 * DAY_MS;

export interface CertificateUse {
  /** PEM; of a chain the first counts. */
  readonly cert: string;
  /** By which others reach this program. */
  readonly urls: readonly string[];
}

/** Why others may not believe a certificate, or soon will not; for people, none when nothing is wrong. `now`: ms since 1970. */
export function certificateDoubts({ cert, urls }: CertificateUse, now: number): readonly string[] {
  const certificate = new X509Certificate(cert);
  const { validFrom, validTo } = certificate;
  const doubts: string[] = [];
  if (Date.parse(validFrom) > now) doubts.push(`is not valid before ${validFrom}`);
  if (expiryOf(certificate) <= now) doubts.push(`expired on ${validTo}`);
  else if (expiryOf(certificate) - now < SOON_MS) doubts.push(`expires on ${validTo}: renew it`);
  const strange = urls.filter((url) => !isFor(certificate, new URL(url).hostname));
  if (strange.length > 0) {
    const names = certificate.subjectAltName ?? certificate.subject;
    doubts.push(`is for ${names}, and not for ${strange.join(" and ")}, where others reach this program`);
  }
  return doubts;
}

/** Says what is doubtful about a program's certificate as it starts, and when it ends as a metric. */
export function watchCertificate(use: CertificateUse, { logger, metrics, section, now }: WatchOptions): void {
  const expiry = expiryOf(new X509Certificate(use.cert));
  metrics.gauge(
    {
      name: "dinp_tls_certificate_expires_seconds",
      help: "When the certificate that this program speaks TLS with is valid no more, in seconds since 1970",
    },
    () => expiry / 1_000,
  );
  for (const doubt of certificateDoubts(use, now))
    logger.warn(`the certificate of ${section}.certFile ${doubt}`);
}

export interface WatchOptions {
  readonly logger: Logger;
  readonly metrics: Metrics;
  /** Of the configuration. */
  readonly section: string;
  /** Milliseconds since 1970. */
  readonly now: number;
}

function expiryOf(certificate: X509Certificate): number {
  return Date.parse(certificate.validTo);
}

function isFor(certificate: X509Certificate, hostname: string): boolean {
  const host = hostname.replace(/^\[|\]$/g, "");
  return (isIP(host) === 0 ? certificate.checkHost(host) : certificate.checkIP(host)) !== undefined;
}
