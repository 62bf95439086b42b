import { readFileSync } from "node:fs";
import { expect, it, onTestFinished } from "vitest";
import { describeWithServices } from "../support/services.js";
import { OwnRedis } from "./redis-support/own-redis.js";
import { apply, hostsOf, put, tableAt, uniqueCluster, watched } from "./redis-support/tables.js";

/** The rights that the page for operators gives a user. */
function rightsInDocs(cluster: string): readonly string[] {
  const page = readFileSync(new URL("../../docs/redis.md", import.meta.url), "utf8");
  const [, rights = ""] = /^ACL SETUSER router (.+)$/m.exec(page) ?? [];
  return rights.replaceAll("production", cluster).split(" ");
}

describeWithServices(
  ["redis"],
  "a route table whose user has the rights of the operators' page, and no more",
  () => {
    it("can do all that a table does, and nothing to another cluster's", async () => {
      const server = await OwnRedis.start();
      onTestFinished(() => server.dispose());
      const cluster = uniqueCluster();
      await server.command("ACL", "SETUSER", "router", ...rightsInDocs(cluster));
      const url = `redis://router:secret@127.0.0.1:${String(server.port)}`;
      // Only what is told counts: a poll would come too late for the test.
      const table = tableAt({ url }, { cluster, pollMs: 600_000 });
      const many = Array.from({ length: 2_500 }, (_, index) => put(`h${String(index)}.test`));
      const first = await apply(table, many);
      const event = watched(tableAt({ url }, { cluster, pollMs: 600_000 }), first)();
      const controller = new AbortController();
      onTestFinished(() => {
        controller.abort();
      });
      const hints = table.watchAcknowledgements({ signal: controller.signal })[Symbol.asyncIterator]();
      const hint = hints.next();
      const second = await table.apply([{ op: "delete", host: "h1.test", path: "/" }], {
        epoch: 2,
        ifVersion: first,
      });
      expect(await event).toMatchObject({ type: "changes", version: second });
      await tableAt({ url }, { cluster }).acknowledge({ routerId: "r", version: second, busy: [] });
      expect(await hint).toMatchObject({ done: false });
      expect(await table.acknowledgements()).toEqual([{ routerId: "r", version: second, busy: [] }]);
      expect((await hostsOf(table)).length).toBe(2_499);
      await expect(tableAt({ url }, { cluster: uniqueCluster() }).snapshot()).rejects.toMatchObject({
        code: "DINP_UNAVAILABLE",
        message: expect.stringContaining("does not permit") as string,
      });
    });
  },
);
