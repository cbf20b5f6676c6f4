/** Links between the pages of the documentation, and from them into the repository: each leads to a file that is there, and to a heading of it. */
import assert from "node:assert/strict";
import { existsSync, globSync, readFileSync } from "node:fs";
import { dirname, join, normalize } from "node:path";
import { test } from "node:test";
import GithubSlugger from "github-slugger";

const root = join(import.meta.dirname, "..");
const pages = ["README.md", ...globSync("docs/*.md", { cwd: root })];

/** A page without its blocks of code, in which `#` begins a comment and brackets are no links. */
function prose(page: string): string {
  return readFileSync(join(root, page), "utf8").replaceAll(/^(```+)[^]*?^\1$/gm, "");
}

/** What `#…` may name in a page: its headings as they are read in the repository, numbered where two are the same. */
function anchors(page: string): ReadonlySet<string> {
  const slugger = new GithubSlugger();
  return new Set(
    [...prose(page).matchAll(/^#+ (.+)$/gm)].map(([, heading = ""]) => slugger.slug(plain(heading))),
  );
}

function plain(heading: string): string {
  return heading.replaceAll(/\[([^\]]*)\]\([^)]*\)/g, "$1").replaceAll(/[`*]/g, "");
}

/** What is wrong with the links of a page. */
function deadLinks(page: string, text = prose(page)): string[] {
  const dead: string[] = [];
  for (const [, target = ""] of text.matchAll(/\]\(([^)\s]+)\)/g)) {
    if (/^[a-z]+:/.test(target)) continue;
    const [path = "", anchor] = target.split("#");
    const file = path === "" ? page : normalize(join(dirname(page), path));
    const isThere = existsSync(join(root, file));
    if (!isThere || (anchor !== undefined && !anchors(file).has(anchor))) dead.push(`${page}: ${target}`);
  }
  return dead;
}

test("links in the documentation lead somewhere", () => {
  assert.ok(pages.length > 20);
  assert.deepEqual(
    pages.flatMap((page) => deadLinks(page)),
    [],
  );
});

test("a link to a page or a heading that is not there is found", () => {
  const text = "[a](gone.md) [b](forks.md#gone) [c](#gone) [d](forks.md) [e](https://example.com/gone)";
  assert.deepEqual(deadLinks("docs/pools.md", text), [
    "docs/pools.md: gone.md",
    "docs/pools.md: forks.md#gone",
    "docs/pools.md: #gone",
  ]);
});

test("every page is in the way in", () => {
  const wayIn = prose("docs/README.md");
  for (const page of pages) {
    if (page.startsWith("docs/") && page !== "docs/README.md")
      assert.match(wayIn, new RegExp(`\\(${page.slice("docs/".length)}\\)`));
  }
});
