/**
 * The dashboard in a real browser: what is of sandboxes that run, and what goes wrong meanwhile. All tests share one page. What needs no
 * machine is in `test/registry/dashboard-stored.test.ts`.
 */
import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { after, before, test } from "node:test";
import type { Browser, Locator, Page } from "playwright-core";
import { serveDashboard, type Dashboard } from "../../../src/dashboard/dashboard.ts";
import { Sandbox, Snapshot } from "../../../src/index.ts";
import { smallMemory } from "../lifecycle-support.ts";
import { eventually, useTemporaryHome } from "../support.ts";
import type { Needs } from "../tags.ts";
import { obstacles, paleTexts, startBrowser, watchFaults } from "../../support/browser.ts";

export const needs: Needs = ["running", "browser"];

useTemporaryHome();

/** How long a busy host may take to show something, ms. */
const patience = 60_000;
let sandbox: Sandbox;
let dashboard: Dashboard;
let browser: Browser;
let page: Page;
let faults: string[];

before(async () => {
  const begun = Sandbox.builder("shown").image("localhost/base").memory(smallMemory).createDetached();
  [sandbox, dashboard, browser] = await Promise.all([begun, serveDashboard(), startBrowser()]);
  page = await browser.newPage({ viewport: { width: 1280, height: 900 } });
  page.setDefaultTimeout(patience);
  faults = watchFaults(page);
  await page.goto(dashboard.url);
});
after(async () => {
  await browser.close();
  await dashboard[Symbol.asyncDispose]();
});

const button = (name: string | RegExp, within: Page | Locator = page): Locator =>
  within.getByRole("button", { name, exact: typeof name === "string" });

async function goTo(...parts: readonly string[]): Promise<void> {
  await page.evaluate(`location.hash = ${JSON.stringify(`#/${parts.map(encodeURIComponent).join("/")}`)}`);
}

/** The dialog that is open, when it has done what its button says. */
async function confirm(action: string): Promise<void> {
  const dialog = page.getByRole("dialog");
  await button(action, dialog).click();
  await dialog.waitFor({ state: "detached" });
}

/** Waits until something is true of the page, which itself evaluates no text. */
async function holds(expression: string): Promise<void> {
  await eventually(expression, async () => ((await page.evaluate<boolean>(expression)) ? true : null));
}

async function status(name: string, wanted: string): Promise<void> {
  await goTo();
  await page.getByRole("row", { name: new RegExp(`^${name} .*${wanted}`) }).waitFor();
}

test("the token leaves the address at once, and a page that is loaded again still has it", async () => {
  await page.getByRole("link", { name: "shown" }).waitFor();
  assert.equal(new URL(page.url()).hash, "#/");
  await page.reload();
  await page.getByRole("link", { name: "shown" }).waitFor();
});

test("the list shows sandboxes with what they use", async () => {
  const row = page.getByRole("row", { name: /shown/ });
  await row.getByRole("cell", { name: /^\d.* %/ }).waitFor();
  await row.getByRole("img", { name: "Memory of the last minute" }).waitFor();
  await page.getByRole("searchbox").fill("nothing like it");
  await row.waitFor({ state: "detached" });
  await page.getByRole("searchbox").fill("LOCALHOST/base");
  await row.waitFor();
  await page.getByRole("searchbox").fill("");
});

test("a sandbox is created, paused, resumed, stopped, started, forked and removed", async () => {
  await button("New sandbox").click();
  const dialog = page.getByRole("dialog", { name: "New sandbox" });
  await dialog.getByLabel("Name").fill("no/name");
  await dialog.getByLabel("Memory, MiB").fill(String(smallMemory));
  await dialog.getByLabel("Environment").fill("GREETING=hello");
  await button("Create", dialog).click();
  await dialog.getByRole("alert").waitFor();
  await dialog.getByLabel("Name").fill("made");
  await button("Create", dialog).click();
  await page.getByRole("heading", { name: "made", level: 1 }).waitFor();
  await button("Pause made").waitFor();
  const made = await (await Sandbox.get("made")).connect();
  assert.equal((await made.shell("echo $GREETING")).stdout(), "hello\n");
  // Whoever has no mouse stays where he was.
  await button("Pause made").focus();
  await page.keyboard.press("Enter");
  await button("Resume made").waitFor();
  await holds(`document.activeElement.closest("[role=group]")?.ariaLabel === "Actions for made"`);
  await button("Resume made").click();
  await button("Fork made").click();
  await page.getByRole("dialog").getByLabel("Name").fill("child");
  await confirm("Fork");
  await goTo("tree");
  const branch = page
    .getByRole("listitem")
    .filter({ has: page.getByRole("link", { name: "made", exact: true }) });
  await branch.getByRole("list").getByRole("link", { name: "child" }).waitFor();
  assert.deepEqual((await Sandbox.get("child")).config().forkedFrom, made.id);
  await status("child", "running");
  await button("Remove child").click();
  await confirm("Remove");
  await page.getByRole("row", { name: /^child/ }).waitFor({ state: "detached" });
  await holds(`document.activeElement.localName === "h1"`);
  await button("Stop made").click();
  await confirm("Stop");
  await status("made", "stopped");
  await button("Start made").click();
  await status("made", "running");
});

test("a shell runs in the page", async () => {
  await goTo("sandbox", "shown", "terminal");
  const screen = page.locator(".xterm-rows");
  await screen.filter({ hasText: "#" }).waitFor();
  await page.keyboard.type("echo $((6 * 7))-$TERM; stty size\n");
  await screen
    .filter({ hasText: "42-xterm-256color" })
    .filter({ hasText: /\d\d \d\d\d/ })
    .waitFor();
  // Whoever has no mouse gets out of it.
  await page.keyboard.press("Shift+Escape");
  await holds(`document.activeElement.textContent === "New shell"`);
  await page.getByLabel("For screen readers").check();
  await page.locator(".xterm-accessibility").waitFor({ state: "attached" });
  await page.locator(".xterm-helper-textarea").focus();
  await page.keyboard.type("exit\n");
  await page.getByText("The shell has ended.").waitFor();
  await page.evaluate("location.hash = '#/'");
});

test("hostile output is text, in the log and in what is found there", async () => {
  await goTo("sandbox", "shown", "logs");
  const log = page.getByRole("log");
  const evil = `<img src=x onerror=alert(1)><script>alert(2)</script>`;
  await sandbox.exec("printf", [`%b`, `begin ${evil} \\033[31mred\\033]0;title\\007 end\\nsecond\\n`]);
  await log.getByText(`begin ${evil} red end`, { exact: true }).waitFor();
  await page.getByRole("searchbox", { name: "Search the whole log" }).fill("ONERROR");
  await page.keyboard.press("Enter");
  await page.getByText("1 lines found").waitFor();
  assert.equal(await log.getByText("second").count(), 0);
  await button("Show all").click();
  await log.getByText("second", { exact: true }).waitFor();
  await sandbox.exec("echo", ["live"]);
  await log.getByText("live", { exact: true }).waitFor();
});

test("files are browsed, viewed, uploaded and downloaded, whatever they are called", async () => {
  const evil = `<img src=x onerror=alert(3)>\u202etxt.exe`;
  await sandbox.fs().mkdir("/root/files/below");
  await sandbox.fs().write(`/root/files/${evil}`, "<script>alert(4)</script>\n");
  await sandbox.fs().write(Buffer.from("/root/files/\xff\xfe", "latin1"), "not UTF-8\n");
  await sandbox.shell("ln -s below /root/files/link; mkfifo /root/files/pipe");
  await sandbox.fs().write("/root/files/bytes", Buffer.from([0, 1, 2, 255]));
  await goTo("sandbox", "shown", "files");
  await page.getByLabel("Directory").fill("/root/files");
  await page.keyboard.press("Enter");
  await button("<img src=x onerror=alert(3)>\\u{202e}txt.exe").click();
  await page.getByText("<script>alert(4)</script>").waitFor();
  await button("\ufffd\ufffd").click();
  await page.getByText("not UTF-8").waitFor();
  await button("bytes").click();
  await page.getByText("These are no characters.").waitFor();
  await page.getByRole("rowheader", { name: "pipe", exact: true }).waitFor();
  assert.equal(await button("pipe").count(), 0, "nothing would come of it");
  const downloading = page.waitForEvent("download");
  await button("Download bytes").click();
  const downloaded = await (await downloading).path();
  assert.deepEqual(await readFile(downloaded), Buffer.from([0, 1, 2, 255]));
  await button("link").click();
  await page.getByText("What is in /root/files/link").waitFor({ state: "attached" });
  await page.getByText("This directory is empty.").waitFor();
  await button("Up").click();
  await button("below/").click();
  await page.getByText("What is in /root/files/below").waitFor({ state: "attached" });
  const content = Buffer.alloc(3_000_000, "upload");
  await page.getByLabel("Upload").setInputFiles({ name: "up.bin", mimeType: "text/plain", buffer: content });
  await button("up.bin").waitFor();
  assert.ok(content.equals(await sandbox.fs().read("/root/files/below/up.bin")));
  await button("Up").click();
  await button("below/").waitFor();
  await page.getByLabel("Directory").fill("/nowhere");
  await page.keyboard.press("Enter");
  await page.getByRole("alert").filter({ hasText: "/nowhere" }).waitFor();
});

test("a decision of the network leads to the rule that changes it", async () => {
  await goTo("sandbox", "shown", "network");
  await page.getByText("allow@public").waitFor();
  const connect = (): Promise<unknown> => sandbox.shell("nc -w 1 10.1.2.3 80 < /dev/null");
  await connect();
  const row = page.getByRole("row").filter({ hasText: "tcp to 10.1.2.3:80" });
  await row.filter({ hasText: "denied" }).filter({ hasText: "the default" }).waitFor();
  await button(/^Allow tcp to 10\.1\.2\.3:80/, row).click();
  const rule = page.getByRole("dialog").getByLabel("Rule");
  assert.equal(await rule.inputValue(), "allow@10.1.2.3:tcp:80");
  await confirm("Add the rule");
  await page.getByRole("listitem").filter({ hasText: "allow@10.1.2.3:tcp:80" }).waitFor();
  await connect();
  await row.filter({ hasText: "allowed" }).filter({ hasText: "rule 0: allow@10.1.2.3:tcp:80" }).waitFor();
  await page.getByLabel("Only what was denied").check();
  await row.filter({ hasText: "allowed" }).waitFor({ state: "detached" });
  await button("Suggest a policy").click();
  await page.getByRole("dialog").getByText("allow@10.1.2.3:tcp:80").waitFor();
  await button("Cancel").click();
});

test("ports are published, and no more", async () => {
  await button("Publish").click();
  await page.getByRole("dialog").getByLabel("Port of the guest").fill("8000");
  await confirm("Publish");
  const port = page.getByRole("listitem").filter({ hasText: "→ 8000/tcp" });
  await port.waitFor();
  assert.equal((await sandbox.ports())[0]?.guestPort, 8000);
  await button(/^Stop publishing/, port).click();
  await port.waitFor({ state: "detached" });
  assert.deepEqual(await sandbox.ports(), []);
});

test("snapshots are made, stand in the tree, and are removed", async () => {
  await goTo("sandbox", "shown");
  await button("Snapshot shown").click();
  await page.getByRole("dialog").getByLabel("Name").fill("first");
  await confirm("Snapshot");
  await sandbox.checkpoint("before");
  await goTo("sandbox", "shown", "tree");
  const own = page
    .getByRole("listitem")
    .filter({ has: page.getByRole("link", { name: "shown", exact: true }) });
  await own.getByRole("list").getByText("first", { exact: true }).waitFor();
  await own.getByRole("list").getByText("before", { exact: true }).waitFor();
  await button("Remove snapshot first").click();
  await confirm("Remove");
  await own.getByText("first", { exact: true }).waitFor({ state: "detached" });
  assert.deepEqual(await Snapshot.list(), []);
});

test("settings, templates and storage are shown", async () => {
  await goTo("sandbox", "shown", "settings");
  await page.getByText("Memory mib").waitFor();
  await page.getByText(String(smallMemory), { exact: true }).waitFor();
  await goTo("templates");
  await page.getByRole("row").filter({ hasText: "ready" }).first().waitFor();
  await goTo("storage");
  await page.getByRole("row", { name: /^sandboxes 2 2/ }).waitFor();
});

const everyPlace = [
  [],
  ...["overview", "terminal", "logs", "files", "network", "tree", "settings"].map((tab) => [
    "sandbox",
    "shown",
    tab,
  ]),
];

test("every view can be used by keyboard and ear, and fits on a screen of 375 px", async () => {
  await page.setViewportSize({ width: 375, height: 700 });
  for (const parts of everyPlace) {
    await goTo(...parts);
    await page.locator("h1").waitFor();
    await holds(`!document.querySelector("main").textContent.includes("Loading…")`);
    assert.deepEqual(await obstacles(page), [], parts.join("/"));
    for (const colorScheme of ["dark", "light"] as const) {
      await page.emulateMedia({ colorScheme });
      assert.deepEqual(await paleTexts(page), [], `${parts.join("/")} ${colorScheme}`);
    }
    // Whoever came by a link begins with the heading.
    await holds("document.activeElement.closest('h1, .xterm') !== null");
  }
  await goTo();
  await button("New sandbox").click();
  assert.deepEqual(await obstacles(page), [], "dialog");
  await page.keyboard.press("Escape");
  await page.getByRole("dialog").waitFor({ state: "detached" });
  await holds(`document.activeElement.textContent === "New sandbox"`);
  await page.setViewportSize({ width: 1280, height: 900 });
});

test("what is looked at may die, be started again, and be gone", async () => {
  await goTo("sandbox", "made", "terminal");
  await page.locator(".xterm-rows").filter({ hasText: "#" }).waitFor();
  await button("Kill made").click();
  await confirm("Kill");
  await page
    .getByRole("status")
    .filter({ hasText: /crashed|stopped/ })
    .waitFor();
  const terminal = page.getByRole("region", { name: "Terminal" });
  await terminal.getByRole("alert").or(terminal.getByRole("status")).waitFor();
  await goTo("sandbox", "made", "logs");
  await page.getByText("The log has ended.").waitFor();
  await button("Start made").click();
  await page.getByText("Live", { exact: true }).waitFor();
  await goTo("sandbox", "made", "overview");
  await page.getByRole("img", { name: /^Processor of the last minutes/ }).waitFor();
  await (await Sandbox.get("made")).destroy();
  await page.getByText("This sandbox is not there, or not any more.").waitFor();
});

test("a server that ends is told of, and nothing of a guest's has ever run in the page", async () => {
  assert.deepEqual(faults, []);
  const before = await Sandbox.get("shown");
  await dashboard[Symbol.asyncDispose]();
  await page.getByRole("alert").filter({ hasText: "server does not answer" }).waitFor();
  await eventually("the sandbox goes on without the dashboard", async () => {
    const now = await before.refresh();
    return now.status === "running" ? now : null;
  });
});
