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
    args: [
      ...["--disable-gpu", "--disable-background-networking"],
      "--host-resolver-rules=MAP rebound.example 127.0.0.1",
    ],
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

/** Texts that are hard to read on what is behind them: WCAG 2.2, 1.4.3, wants a contrast of 4.5. What cannot be used now may be pale. */
export async function paleTexts(page: Page): Promise<string[]> {
  return await page.evaluate<string[]>(lookForPaleTexts);
}

// Runs in the page. The canvas lays one colour over another as the page does.
const lookForPaleTexts = `(() => {
  const context = Object.assign(document.createElement("canvas"), { width: 1, height: 1 }).getContext("2d", { willReadFrequently: true });
  const lay = (colour) => {
    context.fillStyle = colour;
    context.fillRect(0, 0, 1, 1);
    const [red, green, blue] = [...context.getImageData(0, 0, 1, 1).data].map((value) => {
      const part = value / 255;
      return part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4;
    });
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue;
  };
  const found = new Set();
  for (const element of document.body.querySelectorAll("*")) {
    const text = [...element.childNodes].filter(({ nodeType }) => nodeType === 3).map(({ data }) => data.trim()).join("");
    if (text === "" || !element.checkVisibility() || element.closest(".xterm, .unseen, :disabled, [aria-disabled=true], option") !== null) continue;
    const layers = [];
    for (let each = element; each !== null; each = each.parentElement) layers.unshift(getComputedStyle(each).backgroundColor);
    const behind = ["white", ...layers].map(lay).at(-1);
    const front = lay(getComputedStyle(element).color);
    const contrast = (Math.max(behind, front) + 0.05) / (Math.min(behind, front) + 0.05);
    if (contrast < 4.5) found.add(text.slice(0, 40) + ": " + contrast.toFixed(1));
  }
  return [...found];
})()`;
