import { Buffer } from "node:buffer";

/** Above the size of every piece. glibc keeps up to twice as much for what comes next. */
const BLOCK_BYTES = 8 * 1024 * 1024;
/** When buffers of 32 MiB are waiting, V8 collects; the last of these has it free the others. */
const BLOCKS = 4;

let isDone = false;

/**
 * Has memory that was freed used again. The unpacked pieces of an archive are blocks of a megabyte, and glibc returns such
 * blocks to the system when they are freed; each new one is then mapped page by page, which takes some hundredths of
 * the time of a push. It keeps blocks up to the size of the largest that was freed so far (mallopt(3), `M_MMAP_THRESHOLD`,
 * "dynamic"): so some of that size are had here, and left to the next collection. Nothing writes to them, so they take no
 * memory. With another C library this does nothing.
 */
export function reuseMemory(): void {
  if (isDone) return;
  isDone = true;
  for (let block = 0; block < BLOCKS; block += 1) Buffer.allocUnsafeSlow(BLOCK_BYTES);
}
