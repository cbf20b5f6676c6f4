import type { LibraryRow } from "./library-rows.ts";

const auth = '-H "Authorization: Bearer $API_KEY"';
const zeros = (mib: number): string => `head -c ${mib << 20} /dev/zero`;

/** Forms that messages of HTTP have, each with a secret in its head. @param nginx and `modern` are ports */
export function formRows(nginx: number, modern: number): readonly LibraryRow[] {
  const origin = `https://www.example.com:${nginx}`;
  const other = `https://up.example.com:${modern}`;
  const byBoth = ["1.1", "2"].flatMap((version): LibraryRow[] => {
    const curl = `curl -sS --http${version} ${auth}`;
    const quiet = `${curl} -o /dev/null`;
    return [
      {
        name: `a compressed answer, HTTP/${version}`,
        script: `${curl} --compressed -o /tmp/page -w '%header{content-encoding} ' ${origin}/page.txt; seq 5000 | cmp - /tmp/page && echo same`,
        prints: "gzip same",
      },
      {
        name: `a part of a file, HTTP/${version}`,
        script: `${curl} -r 2-5 -w '%{http_code} %header{content-range}' ${origin}/page.txt`,
        prints: "2\n3\n206 bytes 2-5/23893",
      },
      {
        name: `a file that is known already, HTTP/${version}`,
        script: `${quiet} --etag-save /tmp/etag ${origin}/page.txt; ${curl} --etag-compare /tmp/etag -w '%{http_code}' ${origin}/page.txt`,
        prints: "304",
      },
      {
        name: `HEAD, an answer without a body, and a third request, all on one connection on either side, HTTP/${version}`,
        script: `${quiet} -I -w '%{http_code} %{num_connects}\\n' ${origin}/page.txt --next ${quiet.slice("curl".length)} \\
          -w '%{http_code} %{num_connects}\\n' ${origin}/nothing --next ${curl.slice("curl".length)} ${origin}/count`,
        prints: "200 1\n204 0\n3",
      },
      {
        name: `an answer before the end of the request, HTTP/${version}`,
        script: `${zeros(16)} | ${quiet} -H Expect: -T - -w '%{http_code}' ${other}/early`,
        prints: "413",
      },
    ];
  });
  const waits = `curl -sS --http1.1 ${auth} -H "Expect: 100-continue" --expect100-timeout 100 -T -`;
  return [
    ...byBoth,
    {
      name: "100-continue",
      script: `${zeros(1)} | ${waits} -D /tmp/heads ${other}/count | cut -d ' ' -f 1; grep -c '^HTTP/1.1 100' /tmp/heads`,
      prints: `${1 << 20}\n1`,
    },
    {
      name: "a body that is refused before it is sent",
      script: `${zeros(1)} | ${waits} -w '%{http_code} %{size_upload}' ${other}/refused`,
      prints: "417 0",
    },
    {
      name: "trailers both ways, HTTP/1.1 and HTTP/2",
      script: `/node/node /tmp/trailers.mjs ${other}/trailers`,
      prints: "told by 1.1\ntold by 2",
    },
    {
      name: "openssl s_client: three requests before the first answer",
      script: `
        field="Host: www.example.com\\r\\nAuthorization: Bearer $API_KEY"
        printf "GET /count HTTP/1.1\\r\\n$field\\r\\n\\r\\nGET /count HTTP/1.1\\r\\n$field\\r\\n\\r\\nGET /count HTTP/1.1\\r\\n$field\\r\\nConnection: close\\r\\n\\r\\n" |
          timeout 60 openssl s_client -quiet -connect www.example.com:${nginx} -servername www.example.com 2>/dev/null | grep -x '[0-9]'`,
      prints: "1\n2\n3",
    },
  ];
}
