import { ServerResponse } from "node:http";
import { DinpError } from "@dinp/core";
import { loadHttpProxyForwarder } from "@dinp/core/http-proxy";
import { describe, expect, it } from "vitest";
import { loadDriver } from "../../src/adapters/http-proxy/http-proxy-forwarder.js";
import { forwarderSuite } from "@dinp/core/testing";
import { forwarderFront } from "./support/forwarder-front.js";

describe("http-proxy forwarder", () => {
  it.each(forwarderSuite({ create: forwarderFront(() => loadHttpProxyForwarder()) }))("$name", ({ run }) =>
    run(),
  );

  it("names the install command when the driver is missing", async () => {
    const name: string = "http-proxy-that-nobody-has-installed";
    const error = await loadDriver(() => import(name)).catch((reason: unknown) => reason);
    expect(error).toBeInstanceOf(DinpError);
    expect(error).toMatchObject({ code: "DINP_DRIVER_MISSING", details: { package: "http-proxy" } });
    expect(error instanceof DinpError && error.hint).toContain("npm install http-proxy");
  });

  it("rejects a target that is not in origin form as misuse", async () => {
    const forwarder = await loadHttpProxyForwarder();
    const request = new (await import("node:http")).IncomingMessage(new (await import("node:net")).Socket());
    const exchange = { request, response: new ServerResponse(request), fields: [], upgrade: null };
    const options = { addedFields: {}, connectTimeoutMs: 1, responseTimeoutMs: 1 };
    const endpoint = { instanceId: "i", host: "127.0.0.1", port: 1 };
    for (const target of ["", "http://x.test/", "/a b", "/a\r\nX: 1"]) {
      await expect(forwarder.forward({ ...exchange, target }, endpoint, options)).rejects.toThrow(TypeError);
    }
    await forwarder.close();
  });

  it("refuses to be used after its end", async () => {
    const forwarder = await loadHttpProxyForwarder();
    await forwarder.close();
    const request = new (await import("node:http")).IncomingMessage(new (await import("node:net")).Socket());
    const exchange = {
      request,
      response: new ServerResponse(request),
      target: "/",
      fields: [],
      upgrade: null,
    };
    const options = { addedFields: {}, connectTimeoutMs: 1, responseTimeoutMs: 1 };
    const endpoint = { instanceId: "i", host: "127.0.0.1", port: 1 };
    await expect(forwarder.forward(exchange, endpoint, options)).rejects.toMatchObject({
      code: "DINP_CLOSED",
    });
  });
});
