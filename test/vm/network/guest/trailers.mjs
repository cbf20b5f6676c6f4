// Sends a body with a trailer by HTTP/1.1 and by HTTP/2, and prints the trailers that come back. Argument: a URL.
import { once } from "node:events";
import { connect } from "node:http2";
import { request } from "node:https";
import process from "node:process";

const url = new URL(process.argv[2]);
const headers = { authorization: `Bearer ${process.env.API_KEY}` };

const first = request(url, { method: "POST", headers: { ...headers, trailer: "x-last" } });
first.write("a body");
first.addTrailers({ "x-last": "by 1.1" });
first.end();
const [answer] = await once(first, "response");
await once(answer.resume(), "end");
console.log(answer.trailers["x-told"]);

const session = connect(url.origin);
const second = session.request(
  { ":method": "POST", ":path": url.pathname, ...headers },
  { waitForTrailers: true },
);
second.on("wantTrailers", () => second.sendTrailers({ "x-last": "by 2" }));
second.end("a body");
const trailers = once(second, "trailers");
second.resume();
console.log((await trailers)[0]["x-told"]);
session.close();
