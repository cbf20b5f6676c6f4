/** What the dashboard shows and does without a machine, in a real browser: images, volumes, templates, storage, and who is kept out. */
import assert from "node:assert/strict";
import { once } from "node:events";
import { mkdir, readdir } from "node:fs/promises";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { after, before, test } from "node:test";
import type { Browser, Locator, Page } from "playwright-core";
import { pull } from "../../src/api/images/msb-images.ts";
import { serveDashboard, type Dashboard } from "../../src/dashboard/dashboard.ts";
import { Image, Sandbox, Volume } from "../../src/index.ts";
import type { Home } from "../../src/store/home.ts";
import { createSandboxDirectory } from "../../src/store/sandboxes.ts";
import { obstacles, paleTexts, startBrowser, watchFaults } from "../support/browser.ts";
import { sandboxRecord } from "../support/sandbox-record.ts";
import { busyboxLayer } from "./busybox.ts";
import { image, layer, newHome, noise, push, scratch } from "./images.ts";
import { RegistryServer } from "./registry-server.ts";

/** How long a busy host may take to show something, ms. */
const patience = 60_000;
let directory: Awaited<ReturnType<typeof scratch>>;
let registry: RegistryServer;
/** An image of the registry. */
let app: string;
let home: Home;
let dashboard: Dashboard;
let browser: Browser;
let page: Page;
let faults: string[];

before(async () => {
  directory = await scratch();
  home = await newHome(directory.path);
  process.env["MSB_HOME"] = home.root;
  process.env["DOCKER_CONFIG"] = directory.path;
  await (await createSandboxDirectory(home, sandboxRecord("kept"))).release();
  registry = await RegistryServer.start(directory.path);
  app = `${registry.host}/team/app:latest`;
  await push(image([await busyboxLayer(), await layer({ noise: noise(8 << 20) })]), app);
  [dashboard, browser] = await Promise.all([serveDashboard(), startBrowser()]);
  page = await browser.newPage({ viewport: { width: 1280, height: 900 } });
  page.setDefaultTimeout(patience);
  faults = watchFaults(page);
  await page.goto(dashboard.url);
});
after(async () => {
  await browser.close();
  await dashboard[Symbol.asyncDispose]();
  await registry[Symbol.asyncDispose]();
  await directory[Symbol.asyncDispose]();
});

const button = (name: string | RegExp, within: Page | Locator = page): Locator =>
  within.getByRole("button", { name, exact: typeof name === "string" });

async function goTo(place: string): Promise<void> {
  // Who is there already sees what was known then.
  await page.evaluate("location.hash = '#/'");
  await page.getByRole("heading", { name: "Sandboxes" }).waitFor();
  await page.evaluate(`location.hash = "#/${place}"`);
}

/** The dialog that is open, when it has done what its button says. */
async function confirm(action: string): Promise<void> {
  const dialog = page.getByRole("dialog");
  await button(action, dialog).click();
  await dialog.waitFor({ state: "detached" });
}

/** Waits until something is true of the page, which itself evaluates no text. */
async function holds(expression: string): Promise<void> {
  while (!(await page.evaluate<boolean>(expression))) await new Promise((resolve) => setTimeout(resolve, 20));
}

test("who creates a sandbox is told how the pull of its image goes on, and why it could not be started", async () => {
  process.env["MSB_QEMU"] = "/nonexistent";
  try {
    await button("New sandbox").click();
    const dialog = page.getByRole("dialog", { name: "New sandbox" });
    await dialog.getByLabel("Name").fill("pulled");
    await dialog.getByLabel("Image").fill(app);
    // It may be over quickly: what it says is written down.
    await page.evaluate(`window.told = new Set(); new MutationObserver(() => {
      window.told.add(document.querySelector(".progress")?.textContent.replaceAll(/[\\d.]+/g, "N") ?? "");
    }).observe(document.body, { subtree: true, childList: true, characterData: true })`);
    await button("Create", dialog).click();
    await dialog.getByRole("alert").filter({ hasText: "/nonexistent" }).waitFor();
    const told = await page.evaluate<string[]>("[...window.told]");
    for (const text of ["Downloading N MiB of N MiB", "Unpacking N of N layers"])
      assert.ok(told.includes(text), `${text} in ${JSON.stringify(told)}`);
    await button("Cancel", dialog).click();
  } finally {
    delete process.env["MSB_QEMU"];
  }
});

test("images are removed unless they are needed, and pruned", async () => {
  const config = (await Image.list()).map(({ reference }) => reference);
  assert.deepEqual(config, [app]);
  await goTo("images");
  await button(`Remove ${app}`).click();
  await confirm("Remove");
  await page.getByText("No image was pulled yet").waitFor();
  const { signal } = new AbortController();
  await pull(app, { policy: "if-missing", onProgress: () => undefined, signal });
  await goTo("images");
  await page.getByRole("row").filter({ hasText: app }).waitFor();
  await button("Prune images").click();
  await confirm("Prune");
  await page.getByText("No image was pulled yet").waitFor();
  assert.deepEqual(await Image.list(), []);
});

test("a sandbox is removed when that is confirmed, and whoever has no mouse goes on with the list", async () => {
  await (await createSandboxDirectory(home, sandboxRecord("gone"))).release();
  await goTo("");
  await button("Remove gone").focus();
  await page.keyboard.press("Enter");
  await page.keyboard.press("Escape");
  await holds(`document.activeElement.ariaLabel === "Remove gone"`);
  await page.keyboard.press("Enter");
  await confirm("Remove");
  await page.getByRole("row", { name: /^gone/ }).waitFor({ state: "detached" });
  await holds(`document.activeElement.localName === "h1"`);
  await assert.rejects(Sandbox.get("gone"), { code: "sandboxNotFound" });
});

test("volumes are removed, and pruned when that is confirmed", async () => {
  await Volume.create({ name: "one" });
  await Volume.create({ name: "two" });
  await goTo("volumes");
  await button("Remove one").click();
  await confirm("Remove");
  await page.getByRole("row", { name: /^one/ }).waitFor({ state: "detached" });
  await button("Prune volumes").click();
  await button("Cancel").click();
  assert.equal((await Volume.list()).length, 1, "it was not confirmed");
  await button("Prune volumes").click();
  await confirm("Prune");
  await page.getByText("There are no named volumes.").waitFor();
  assert.deepEqual(await Volume.list(), []);
});

test("templates are pruned, and what takes room is told, before it is freed", async () => {
  const damaged = (key: string): Promise<unknown> =>
    mkdir(`${home.templates}/${key.repeat(64)}`, { recursive: true });
  await damaged("a");
  await goTo("templates");
  await page.getByRole("row").filter({ hasText: "damaged" }).waitFor();
  await button("Prune templates").click();
  await confirm("Prune");
  await page.getByText("There are no templates.").waitFor();
  assert.deepEqual(await readdir(home.templates), []);
  await damaged("b");
  await goTo("storage");
  await page.getByRole("row", { name: /^sandboxes 1 0/ }).waitFor();
  await button("Prune").click();
  await page.getByRole("dialog").getByText("template bbbbbbbbbbbb").waitFor();
  await confirm("Prune");
  await page.getByRole("row", { name: /^templates 0 0/ }).waitFor();
  assert.deepEqual(await readdir(home.templates), []);
});

test("every view can be read, used by keyboard and ear, and fits on a screen of 375 px", async () => {
  await page.setViewportSize({ width: 375, height: 700 });
  for (const place of ["", "tree", "images", "volumes", "templates", "storage", "sandbox/kept"]) {
    await goTo(place);
    await page.locator("h1").waitFor();
    await page.getByText("Loading…").waitFor({ state: "detached" });
    assert.deepEqual(await obstacles(page), [], place);
    for (const colorScheme of ["dark", "light"] as const) {
      await page.emulateMedia({ colorScheme });
      assert.deepEqual(await paleTexts(page), [], `${place} ${colorScheme}`);
    }
  }
});

test("a wrong token shows nothing", async () => {
  const context = await browser.newContext();
  try {
    const stranger = await context.newPage();
    for (const url of [
      dashboard.url.replace(/token=.{8}/, "token=AAAAAAAA"),
      new URL("/", dashboard.url).href,
    ]) {
      await stranger.goto("about:blank");
      await stranger.goto(url);
      await stranger.getByText("The token is missing or wrong.").waitFor({ timeout: patience });
      assert.equal(await stranger.getByText("kept").count(), 0);
    }
    // Even what would find its way into the page is not run there.
    const tries = await stranger.evaluate<string[]>(`[
      () => { document.body.innerHTML = "<b>text</b>"; },
      () => { document.createElement("script").text = "1"; },
    ].map((attempt) => { try { attempt(); return "done"; } catch { return "refused"; } })`);
    assert.deepEqual(tries, ["refused", "refused"]);
  } finally {
    await context.close();
  }
});

test("a page of another origin gets nothing, though it knows the token", async () => {
  const server = createServer((_, response) => {
    response.setHeader("Content-Type", "text/html");
    response.end("<!doctype html><title>other</title>");
  }).listen(0, "127.0.0.1");
  await once(server, "listening");
  const context = await browser.newContext();
  try {
    const other = await context.newPage();
    await other.goto(`http://127.0.0.1:${String((server.address() as AddressInfo).port)}/`);
    const token = dashboard.url.split("#token=")[1] ?? "";
    const base = `http://127.0.0.1:${String(dashboard.port)}`;
    const results = await other.evaluate<unknown>(`(async () => {
      const call = (options) => fetch("${base}/api/sandbox.remove", { method: "POST", body: '{"name":"kept"}', ...options })
        .then((response) => response.type, () => "refused");
      const headers = { Authorization: "Bearer ${token}" };
      const open = new Promise((resolve) => {
        const socket = new WebSocket("${base.replace("http", "ws")}/live", ["msb", "msb.token.${token}"]);
        socket.onopen = () => resolve("open");
        socket.onerror = () => resolve("refused");
      });
      const framed = new Promise((resolve) => {
        const frame = document.createElement("iframe");
        frame.src = "${base}/";
        frame.onload = () => { try { resolve(frame.contentDocument === null ? "kept out" : "open"); } catch { resolve("kept out"); } };
        document.body.append(frame);
      });
      return [await call({ headers }), await call({ headers, mode: "no-cors" }), await open, await framed];
    })()`);
    assert.deepEqual(results, ["refused", "refused", "refused", "kept out"]);
    assert.equal((await Sandbox.get("kept")).status, "created");
    // A name that leads to this computer, as one may that was rebound.
    const rebound = await other.goto(`http://rebound.example:${String(dashboard.port)}/#token=${token}`);
    assert.equal(rebound?.status(), 403);
  } finally {
    await context.close();
    server.close();
  }
});

test("nothing of others has ever run in the page", () => {
  assert.deepEqual(faults, []);
});
