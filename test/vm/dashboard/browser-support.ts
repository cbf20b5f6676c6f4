import { existsSync } from "node:fs";
import { join } from "node:path";
import { chromium, type Browser, type Page } from "playwright-core";

/** A browser without a window, which talks to nobody but the dashboard. */
export async function startBrowser(): Promise<Browser> {
  const places = (process.env["PATH"] ?? "").split(":").map((directory) => join(directory, "chromium"));
  const executablePath = places.find((path) => existsSync(path));
  if (executablePath === undefined)
    throw new Error("chromium is not on the PATH: sh scripts/setup.sh --tests");
  return await chromium.launch({
    executablePath,
    // Chromium does not run as root with its own sandbox, and the pages here are ours.
    chromiumSandbox: process.getuid?.() !== 0,
    args: ["--disable-gpu", "--disable-background-networking"],
  });
}

/** Notes what must never come: errors of the page's own program, what its policy has stopped, and scripts of others that ran. */
export function watchFaults(page: Page): string[] {
  const faults: string[] = [];
  page.on("pageerror", (error) => faults.push(`error: ${error.stack ?? error.message}`));
  page.on("dialog", (dialog) => {
    faults.push(`dialog: ${dialog.message()}`);
    void dialog.dismiss();
  });
  page.on("console", (message) => {
    // A request that is answered with an error is shown to the user, and noted by the browser too.
    const isAnswer = message.text().startsWith("Failed to load resource");
    if (message.type() === "error" && !isAnswer) faults.push(`console: ${message.text()}`);
  });
  return faults;
}

/**
 * What somebody would miss who does not see the page, or has no mouse or a small screen: elements without a name, a heading, and what is
 * wider than the screen. The terminal sees to its own.
 */
export async function obstacles(page: Page): Promise<string[]> {
  return await page.evaluate<string[]>(lookForObstacles);
}

// Runs in the page.
const lookForObstacles = `(() => {
  const found = [];
  const nameOf = (element) => {
    const by = element.getAttribute("aria-labelledby");
    const texts = [
      element.getAttribute("aria-label"),
      by === null ? null : document.getElementById(by)?.textContent,
      ...[...(element.labels ?? [])].map(({ textContent }) => textContent),
      element.textContent,
    ];
    return texts.find((text) => (text ?? "").trim() !== "") ?? "";
  };
  for (const element of document.querySelectorAll("button, a, input, textarea, dialog, nav, [role=img], table, section"))
    if (element.closest(".xterm") === null && nameOf(element) === "") found.push("no name: " + element.outerHTML.slice(0, 100));
  const headings = document.querySelectorAll("h1").length;
  if (headings !== 1) found.push(headings + " main headings");
  const { scrollWidth, clientWidth } = document.documentElement;
  if (scrollWidth > clientWidth) found.push(scrollWidth + " px wide on a screen of " + clientWidth);
  return found;
})()`;
