import { randomBytes } from "node:crypto";
import { readFile } from "node:fs/promises";
import type { ServerResponse } from "node:http";
import { join } from "node:path";
import { gzipSync } from "node:zlib";
import { RuntimeError } from "../errors/index.ts";
import { dashboardDirectory } from "../host/package-files.ts";
import { safeHeaders } from "./safe-headers.ts";

/** The page's files, by the path that they are asked for with. */
const files = {
  "/": { name: "index.html", type: "text/html; charset=utf-8" },
  "/app.js": { name: "app.js", type: "text/javascript; charset=utf-8" },
  "/app.css": { name: "app.css", type: "text/css; charset=utf-8" },
  "/icon.svg": { name: "icon.svg", type: "image/svg+xml" },
} as const;
type AssetPath = keyof typeof files;

/** Stands in the page's HTML where the nonce goes. */
const noncePlace = "{{nonce}}";

/**
 * The page, in memory. It has nothing of the user's in it, so it is given to whoever asks; all that is the user's needs the token.
 */
export class Assets {
  readonly #contents: ReadonlyMap<string, Buffer>;

  private constructor(contents: ReadonlyMap<string, Buffer>) {
    this.#contents = contents;
  }

  /** @throws RuntimeError when the package was not built */
  static async load(): Promise<Assets> {
    const directory = dashboardDirectory();
    const load = async ([path, { name }]: [string, { readonly name: string }]): Promise<[string, Buffer]> => [
      path,
      await readFile(join(directory, name)),
    ];
    try {
      return new this(new Map(await Promise.all(Object.entries(files).map(load))));
    } catch (cause) {
      throw new RuntimeError(`the dashboard's page is not in ${directory}`, {
        cause,
        hint: "Build it: npm run build.",
      });
    }
  }

  static has(path: string): path is AssetPath {
    return Object.hasOwn(files, path);
  }

  send(path: AssetPath, response: ServerResponse): void {
    const nonce = randomBytes(18).toString("base64");
    const content = this.#contents.get(path) ?? Buffer.alloc(0);
    const body = path === "/" ? content.toString("utf8").replaceAll(noncePlace, nonce) : content;
    response.writeHead(200, {
      ...safeHeaders,
      "Content-Type": files[path].type,
      "Content-Encoding": "gzip",
      "Content-Security-Policy": contentPolicy(nonce),
    });
    response.end(gzipSync(body));
  }
}

/**
 * Scripts, styles and connections are this server's own; nothing may be made of a text (Trusted Types); nobody may frame the page. The
 * terminal writes its own style sheets, which the nonce is for.
 */
function contentPolicy(nonce: string): string {
  return [
    "default-src 'none'",
    "script-src 'self'",
    `style-src 'self' 'nonce-${nonce}'`,
    "connect-src 'self'",
    "img-src 'self'",
    "font-src 'self'",
    "base-uri 'none'",
    "form-action 'none'",
    "frame-ancestors 'none'",
    "require-trusted-types-for 'script'",
    "trusted-types 'none'",
  ].join("; ");
}
