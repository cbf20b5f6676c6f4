const auth = '-H "Authorization: Bearer $API_KEY"';
const clone = (options: string, url: string): string =>
  `rm -rf /tmp/clone; git ${options} clone -q ${url} /tmp/clone && cat /tmp/clone/README`;
/** Programs of the guest, and what each prints when the server has got the key. @param nginx and `modern` are ports */
export function clientRows(
  nginx: number,
  modern: number,
): readonly { name: string; script: string; prints: string }[] {
  const hello = `https://www.example.com:${nginx}/hello`;
  return [
    { name: "curl, HTTP/1.1", script: `curl -sS --http1.1 ${auth} ${hello}`, prints: "hello by HTTP/1.1" },
    { name: "curl, HTTP/2", script: `curl -sS --http2 ${auth} ${hello}`, prints: "hello by HTTP/2.0" },
    { name: "curl, Basic", script: `curl -sS -u "user:$API_KEY" ${hello}`, prints: "hello by HTTP/2.0" },
    {
      name: "wget",
      script: `wget -qO- --header="Authorization: Bearer $API_KEY" ${hello}`,
      prints: "hello by HTTP/1.1",
    },
    {
      name: "git, a field of its own",
      script: clone(
        '-c http.extraHeader="Authorization: Bearer $API_KEY"',
        `https://git.example.com:${nginx}/repository.git`,
      ),
      prints: "from nginx",
    },
    {
      name: "git, a password in the URL",
      script: clone("", `"https://user:$API_KEY@git.example.com:${nginx}/repository.git"`),
      prints: "from nginx",
    },
    { name: "urllib", script: `python3 /tmp/clients.py urllib ${hello}`, prints: "hello by HTTP/1.1" },
    {
      name: "requests, one connection for three",
      script: `python3 /tmp/clients.py requests ${hello}`,
      prints: "hello by HTTP/1.1 hello by HTTP/1.1 hello by HTTP/1.1",
    },
    {
      name: "fetch of Node.js",
      script: `/node/node /tmp/clients.mjs fetch ${hello}`,
      prints: "hello by HTTP/1.1",
    },
    {
      name: "undici, HTTP/2, three at once",
      script: `/node/node /tmp/clients.mjs undici ${hello}`,
      prints: "hello by HTTP/2.0 hello by HTTP/2.0 hello by HTTP/2.0",
    },
    {
      name: "an upgrade and a MiB each way",
      script: `python3 /tmp/clients.py upgrade ws.example.com ${modern}`,
      prints: "HTTP/1.1 101 Switching Protocols same",
    },
  ];
}
