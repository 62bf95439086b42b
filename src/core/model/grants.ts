import { DinpError } from "./errors.js";
import type { AppGrants } from "./records.js";

/** As Linux names them (capabilities(7)), without `CAP_`. */
const CAPABILITIES: ReadonlySet<string> = new Set([
  ...["AUDIT_CONTROL", "AUDIT_READ", "AUDIT_WRITE", "BLOCK_SUSPEND", "BPF", "CHECKPOINT_RESTORE", "CHOWN"],
  ...["DAC_OVERRIDE", "DAC_READ_SEARCH", "FOWNER", "FSETID", "IPC_LOCK", "IPC_OWNER", "KILL", "LEASE"],
  ...["LINUX_IMMUTABLE", "MAC_ADMIN", "MAC_OVERRIDE", "MKNOD", "NET_ADMIN", "NET_BIND_SERVICE"],
  ...["NET_BROADCAST", "NET_RAW", "PERFMON", "SETFCAP", "SETGID", "SETPCAP", "SETUID", "SYSLOG"],
  ...["SYS_ADMIN", "SYS_BOOT", "SYS_CHROOT", "SYS_MODULE", "SYS_NICE", "SYS_PACCT", "SYS_PTRACE"],
  ...["SYS_RAWIO", "SYS_RESOURCE", "SYS_TIME", "SYS_TTY_CONFIG", "WAKE_ALARM"],
]);
const USER = /^(?:[a-z_][a-z0-9_-]{0,31}|(?:0|[1-9][0-9]{0,8})(?::(?:0|[1-9][0-9]{0,8}))?)$/;
const PIDS_MAX = 32_768;

/**
 * Throws `DINP_INVALID` unless these can be granted: `user` is `image`, `UID`, `UID:GID` or a name; capabilities are Linux's,
 * each once; `pidsMax` is 1 to 32,768.
 */
export function assertGrants({ user, capabilities = [], pidsMax }: AppGrants): void {
  if (user !== undefined && !USER.test(user)) {
    throw refused(
      "user",
      JSON.stringify(user.slice(0, 50)),
      "is no user",
      "Write image, UID, UID:GID or a name.",
    );
  }
  for (const [position, name] of capabilities.entries()) {
    const shown = JSON.stringify(name.slice(0, 50));
    if (!CAPABILITIES.has(name)) {
      const hint = "Write each as Linux names it, without CAP_, such as NET_RAW.";
      throw refused("capabilities", shown, "is no capability", hint);
    }
    if (capabilities.indexOf(name) === position) continue;
    throw refused("capabilities", shown, "is named twice", "Name it once.");
  }
  if (pidsMax === undefined || (Number.isSafeInteger(pidsMax) && pidsMax >= 1 && pidsMax <= PIDS_MAX)) return;
  const hint = `Write a whole number from 1 to ${String(PIDS_MAX)}.`;
  throw refused("pidsMax", String(pidsMax), "is no number of processes", hint);
}

function refused(field: string, value: string, why: string, hint: string): DinpError {
  return new DinpError("DINP_INVALID", `${field}: ${value} ${why}.`, { hint, details: { field } });
}
