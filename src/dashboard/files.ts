import { once } from "node:events";
import type { IncomingMessage, ServerResponse } from "node:http";
import { Sandbox } from "../api/index.ts";
import { InvalidConfigError } from "../errors/index.ts";
import { pathOf } from "./calls/file-calls.ts";
import { safeHeaders } from "./safe-headers.ts";
import { sendJson } from "./send-json.ts";

/**
 * `GET /file?sandbox=NAME&path=PATH` gives a file of a guest, `PUT` writes one. PATH is its bytes in base64url. What the guest has in
 * the file is never more than bytes to a browser: it is of no type that is shown or run.
 */
export async function answerFile(
  request: IncomingMessage,
  response: ServerResponse,
  query: URLSearchParams,
): Promise<void> {
  const path = pathOf(query.get("path") ?? "");
  const handle = await Sandbox.get(query.get("sandbox") ?? "");
  await using sandbox = await handle.connect();
  const gone = new AbortController();
  response.once("close", () => {
    gone.abort(new Error("the connection has ended"));
  });
  const { signal } = gone;
  switch (request.method) {
    case "GET": {
      const stream = await sandbox.fs().readStream(path, { signal });
      response.writeHead(200, {
        ...safeHeaders,
        "Content-Type": "application/octet-stream",
        "Content-Disposition": "attachment",
      });
      for await (const chunk of stream) {
        if (!response.write(chunk)) await once(response, "drain", { signal });
        signal.throwIfAborted();
      }
      response.end();
      return;
    }
    case "PUT": {
      const sink = await sandbox.fs().writeStream(path, { signal });
      try {
        for await (const chunk of request) await sink.write(chunk as Buffer, { signal });
        // Of a page that has gone away in the middle, nothing is kept.
        if (!request.complete) throw new InvalidConfigError("the upload was cut off");
        await sink.close({ signal });
      } catch (error) {
        sink.abort();
        throw error;
      }
      sendJson(response, 200, null);
      return;
    }
    default:
      sendJson(response, 405, { code: "refused", message: "only GET and PUT are possible here", hint: "" });
  }
}
