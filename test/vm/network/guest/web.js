"use strict";
// HTTP in the guest: who comes (the port of the connection), what it brings, long bodies, and connections that end when asked.
const { createHash } = require("node:crypto");
const http = require("node:http");

const server = http.createServer({ keepAliveTimeout: 600_000 }, (request, response) => {
  const url = new URL(request.url, "http://guest");
  if (url.pathname === "/end") {
    response.end("over", () => request.socket.end());
  } else if (url.pathname === "/bytes")
    response.end(Buffer.alloc(Number(url.searchParams.get("count")), "x"));
  else if (request.method === "POST") {
    const hash = createHash("sha256");
    request.pipe(hash).on("finish", () => response.end(hash.digest("hex")));
  } else response.end(String(request.socket.remotePort));
});
server.listen(8081, () => console.log("serving"));
