import { createMysqlStateStore } from "@dinp/core/mysql";
import { createPostgresStateStore } from "@dinp/core/postgres";

/** Opens the store of the URL in argv[2], which brings its tables up to date, and tells its parent when that is done. */
const [, , url = ""] = process.argv;
const store = url.startsWith("mysql:")
  ? createMysqlStateStore({ url })
  : createPostgresStateStore({ url, listenUrl: null });
await store.open();
await store.close();
process.send?.({ type: "done" });
process.disconnect?.();
