import assert from "node:assert/strict";
import { once } from "node:events";
import { createServer, type AddressInfo } from "node:net";
import { test } from "node:test";
import { sandboxRecord } from "../../test/support/sandbox-record.ts";
import { MicrosandboxError } from "../errors/index.ts";
import { OfferedNetwork, type NetworkOptions } from "./offered-network.ts";

test("a network whose proxy wants a password that is not there is not offered, and none of its ports is taken", async () => {
  const server = createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as AddressInfo;
  server.close();
  await once(server, "close");
  const record = sandboxRecord("proxied", {
    proxy: "socks5://me:$MSB_NOT_THERE@127.0.0.1:1080",
    ports: { [port]: 80 },
  });
  // Neither is needed before there is something to tell.
  const options = { record, paths: {}, runtimeLog: {} } as unknown as NetworkOptions;
  await assert.rejects(OfferedNetwork.offer(options, new AbortController().signal), (error) => {
    assert.ok(error instanceof MicrosandboxError);
    assert.deepEqual(
      [error.code, error.message],
      ["invalidConfig", "the proxy's password is to be in MSB_NOT_THERE, which is not set"],
    );
    assert.match(error.hint, /environment/);
    return true;
  });
  server.listen(port, "127.0.0.1");
  await once(server, "listening");
  server.close();
});
