// Requests by HTTP/2 as the rows on stdin have them, each on a connection of its own: {name, host, port, head, body}. Each part of a body is
// a DATA frame. Prints what became of each.
import { once } from "node:events";
import { connect } from "node:http2";
import { json } from "node:stream/consumers";
import process from "node:process";

for (const { name, host, port, head, body } of await json(process.stdin)) {
  let outcome;
  const session = connect(`https://${host}:${port}`);
  session.on("error", () => undefined);
  try {
    const stream = session.request(head, { endStream: body.length === 0 });
    const closed = once(stream, "close").then(() => [{ ":status": `closed ${stream.rstCode}` }]);
    const answered = Promise.race([once(stream, "response"), closed]);
    answered.catch(() => undefined);
    stream.setTimeout(30_000, () => stream.destroy(new Error("no answer")));
    for (const part of body) await new Promise((resolve) => void stream.write(part, () => resolve()));
    if (body.length > 0) stream.end();
    const [{ ":status": status }] = await answered;
    stream.resume();
    await closed;
    outcome = status;
  } catch (error) {
    outcome = error.code ?? error.message;
  }
  session.destroy();
  console.log(`${name} ${outcome}`);
}
