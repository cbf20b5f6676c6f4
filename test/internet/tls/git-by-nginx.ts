import { readFile } from "node:fs/promises";
import type { Certificates } from "../../registry/certificates.ts";
import type { Tree } from "../tree-programs.ts";

/**
 * nginx with TLS and HTTP/2, for whoever brings a key as Bearer or, as `user`, as Basic: a git repository; `/hello`; `/page.txt`, of
 * 23,893 bytes; `/nothing`; and `/count`, which says how many requests have come on its connection.
 */
export async function gitByNginx(
  tree: Tree,
  { certFile, keyFile }: Certificates,
  port: number,
  key: string,
): Promise<void> {
  const basic = Buffer.from(`user:${key}`).toString("base64");
  // One process: a worker would live on when its master is killed, and hold its outputs open.
  const config = `
    daemon off; master_process off; pid /run/nginx-tls.pid; error_log stderr notice; events {}
    http {
      access_log off; client_max_body_size 0; map_hash_bucket_size 256;
      map $http_authorization $may { default 0; "Bearer ${key}" 1; "Basic ${basic}" 1; }
      server {
        listen [::]:${port} ssl http2 ipv6only=off;
        ssl_certificate /srv/tls.pem; ssl_certificate_key /srv/tls.key;
        root /srv/dumb;
        location / {
          add_header WWW-Authenticate 'Basic realm="git"' always;
          if ($may = 0) { return 401; }
        }
        location = /hello {
          if ($may = 0) { return 401; }
          return 200 "hello by $server_protocol\\n";
        }
        location = /page.txt {
          if ($may = 0) { return 401; }
          gzip on; gzip_types text/plain;
        }
        location = /nothing {
          if ($may = 0) { return 401; }
          return 204;
        }
        location = /count {
          if ($may = 0) { return 401; }
          return 200 "$connection_requests\\n";
        }
      }
    }`;
  const files = {
    "/srv/tls.pem": await readFile(certFile, "utf8"),
    "/srv/tls.key": await readFile(keyFile, "utf8"),
    "/srv/nginx-tls.conf": config,
  };
  for (const [path, content] of Object.entries(files))
    await tree.shell(`cat > ${path} <<'THE_END'\n${content}\nTHE_END`);
  await tree.shell(`
    export HOME=/srv GIT_CONFIG_NOSYSTEM=1
    mkdir -p /srv/dumb/first && cd /srv/dumb/first
    seq 5000 > /srv/dumb/page.txt
    git init -q -b main . && head -c 300000 /dev/urandom > large && echo "from nginx" > README && git add .
    git -c user.name=tests -c user.email=tests@example.com commit -qm first
    git clone -q --bare . ../repository.git && cd ../repository.git && git update-server-info && chmod -R a+rX /srv/dumb`);
  await tree.daemon(["/usr/sbin/nginx", "-c", "/srv/nginx-tls.conf"], /using the "epoll" event method/);
}
