/** The site of the documentation, made from the pages in `docs`: `npm run docs`. */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { slug } from "github-slugger";
import { defineConfig, type DefaultTheme } from "vitepress";

const docs = join(import.meta.dirname, "..");
const wayIn = "README.md";

/** A group of pages for each heading of the way in, with the pages that are linked below it, in their order. */
function sidebar(): DefaultTheme.SidebarItem[] {
  const groups: { text: string; items: DefaultTheme.SidebarItem[] }[] = [];
  for (const line of readFileSync(join(docs, wayIn), "utf8").split("\n")) {
    const heading = /^## (.+)$/.exec(line)?.[1];
    if (heading !== undefined) groups.push({ text: heading, items: [] });
    for (const [, text = "", page = ""] of line.matchAll(/\[([^\]]+)\]\(([a-z-]+)\.md\)/g)) {
      groups.at(-1)?.items.push({ text, link: `/${page}` });
    }
  }
  return groups;
}

export default defineConfig({
  title: "microsandbox",
  description: "Boot real virtual machines from container images on your own machine",
  cleanUrls: true,
  lastUpdated: false,
  rewrites: { [wayIn]: "index.md" },
  // What is outside of the pages is the repository's; a site has no place for it.
  ignoreDeadLinks: [/^\.\//, (url) => url.startsWith("../") || url.startsWith("./../")],
  markdown: {
    // As where the same pages are read in the repository, so that a link is right in both.
    anchor: { slugify: (text) => slug(text) },
    config: (markdown) => {
      markdown.core.ruler.push("links-into-the-repository", ({ tokens }) => {
        for (const { children } of tokens) for (const child of children ?? []) unlink(child);
      });
    },
  },
  themeConfig: {
    sidebar: sidebar(),
    outline: [2, 3],
    search: { provider: "local" },
  },
});

interface Token {
  readonly type: string;
  attrGet(name: string): string | null;
  attrs: [string, string][] | null;
}

/** A link to a file of the repository stays as text that says where it is. */
function unlink(token: Token): void {
  const href = token.type === "link_open" ? token.attrGet("href") : null;
  if (href?.startsWith("../") === true) token.attrs = [["title", href.slice("../".length)]];
}
