// Clients of Node's: fetch, and undici by HTTP/2. Arguments: which one, and a URL.
import { createRequire } from "node:module";
import process from "node:process";

const [which, url] = process.argv.slice(2);
const headers = { authorization: `Bearer ${process.env.API_KEY}` };
if (which === "fetch") {
  console.log((await (await fetch(url, { headers })).text()).trim());
} else {
  const { Agent, request } = createRequire("/")("/undici");
  const dispatcher = new Agent({ allowH2: true });
  const texts = await Promise.all(
    [1, 2, 3].map(async () => (await request(url, { dispatcher, headers })).body.text()),
  );
  console.log(texts.map((text) => text.trim()).join(" "));
  await dispatcher.close();
}
