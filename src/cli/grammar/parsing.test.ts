import assert from "node:assert/strict";
import { test } from "node:test";
import type { AnyCommand, Invocation } from "./command.ts";
import { commandEntries } from "../commands.ts";
import { helpFor } from "../commands/host/help.ts";
import { findEntry, isFamily, withShownNames } from "./entries.ts";
import { parse } from "./program.ts";
import { quickParse } from "./quick-parse.ts";

async function load(...words: readonly string[]): Promise<AnyCommand> {
  const entry = findEntry(commandEntries, words)?.entry;
  assert.ok(entry !== undefined && !isFamily(entry), words.join(" "));
  return entry.load();
}

/** What commander makes of a command line: the invocation, or the exit code with what it wrote. */
async function full(
  line: readonly string[],
): Promise<{ command: string; invocation: Invocation } | { code: number; out: string; err: string }> {
  const separator = line.indexOf("--");
  const args = separator === -1 ? line : line.slice(0, separator);
  let out = "";
  let err = "";
  const parsed = await parse(commandEntries, args, separator === -1 ? null : line.slice(separator + 1), {
    out: (text) => (out += String(text)),
    err: (text) => (err += String(text)),
  });
  if (typeof parsed === "number") return { code: parsed, out, err };
  return { command: parsed.command.name, invocation: parsed.invocation };
}

/** What `msb help WORDS` writes. */
async function help(...words: readonly string[]): Promise<{ code: number; out: string; err: string }> {
  const written = { out: "", err: "" };
  const command = helpFor(commandEntries, {
    out: (text) => (written.out += String(text)),
    err: (text) => (written.err += String(text)),
  });
  const code = await command.run({
    options: {},
    operands: words,
    guestCommand: null,
    given: new Set(),
    logLevel: null,
  });
  return { code, ...written };
}

async function quick(line: readonly string[]): Promise<Invocation | null> {
  const separator = line.indexOf("--");
  const args = separator === -1 ? line : line.slice(0, separator);
  return quickParse(
    await load(...args.slice(0, 2)),
    args.slice(findEntry(commandEntries, args)?.length ?? 0),
    separator === -1 ? null : line.slice(separator + 1),
  );
}

/** Only what is set: both parsers may or may not name the options that were not given. */
function essence(invocation: Invocation): unknown {
  const options = Object.entries(invocation.options).filter(([, value]) => value !== undefined);
  return { ...invocation, options: Object.fromEntries(options), given: [...invocation.given].sort() };
}

const wellFormed = [
  "run",
  "run -- uname -a",
  "run -- --help -t",
  "run --",
  "run localhost/base",
  "run -n demo localhost/base -c 2 --memory=1.5G -- sh -c true",
  "run -ndemo -c2 -m512 -dq",
  "run -e A=1 --env B=2 -e C= --label a=b --label c",
  "run --rlimit nofile=10:20 --rlimit core=0 --timeout 5m",
  "run -t --detach-keys ctrl-p,ctrl-q",
  "run -n=demo -c=2 -e=A=1 -u=0:0 base",
  "save -o=file x",
  "run --no-tty --info",
  "image pull alpine",
  "image pull -fq --ca-certs ca.pem alpine",
  "pull --insecure localhost:5000/app:1",
  "image ls -q",
  "images --format json",
  "rmi -f a b",
  "save a b --format=oci -o file",
  "registry login -u me --password-stdin ghcr.io",
  "create -n demo --root-disk tmpfs:2G",
  "create -n demo --replace --replace-with-timeout 0 --idle-timeout 30",
  "start a b c",
  "stop -f a",
  "stop -t 0 a --label x",
  "stop -- a",
  "exec demo -- ls -la",
  "exec -w /srv -u 1:2 --timeout 250ms demo",
  "ls",
  "list --running -q --debug",
  "ls --format json --trace",
  "ps demo --format=json",
  "logs -f --tail 5 --since 2026-05-01T00:00:00Z --source stdout,system --source stderr demo",
  "logs --color always demo",
  "logs --no-color demo",
  "metrics -w --interval 200ms --sort cpu",
  "doctor",
  "check",
  "completion bash",
  "__complete --word=-- -- run -- a",
].map((line) => line.split(" "));

test("the quick parser and commander agree on every well-formed command line", async () => {
  for (const line of wellFormed) {
    const fast = await quick(line);
    assert.ok(fast !== null, `${line.join(" ")} is well-formed`);
    const slow = await full(line);
    assert.ok("invocation" in slow, line.join(" "));
    assert.deepEqual(essence(fast), essence(slow.invocation), line.join(" "));
  }
});

const wrong: [string, RegExp][] = [
  ["rnu", /unknown command 'rnu'\n {2}→ Did you mean run\?/],
  ["run --memry 1", /unknown option '--memry'\n {2}→ Did you mean --memory\?/],
  ["run --root-disk huge", /"huge" is no root disk\.\n {2}→ It is written 8G/],
  ["image pull", /missing required argument 'REFERENCE'[^]*msb image pull --help/],
  ["image ls -q --format json", /cannot be used with/],
  ["save --format tar x", /"tar" is not known/],
  ["run -y /a:/b", /unknown option '-y'/],
  ["run --net public --no-net", /cannot be used with/],
  ["run --no-net --net public", /cannot be used with/],
  ["run --port 80", /"80" is not a port to publish/],
  ["run -m 1X", /"1X" is not a size\.\n {2}→ Sizes are written/],
  ["run -c 0", /not a whole number from 1 to 255/],
  ["run -e MSB_TEST_VARIABLE_THAT_IS_NOT_SET", /is not set here/],
  ["run -d --detach-keys ctrl-q", /cannot be used with/],
  ["ssh authorize --file a --key b", /cannot be used with/],
  ["ssh authorize --stdin --key b", /cannot be used with/],
  ["ssh serve --stdio --port 1 demo", /cannot be used with/],
  ["ssh serve --port 70000 demo", /is no port/],
  ["ssh connect --inactivity-timeout soon demo", /"soon" is not a duration/],
  ["run base ls -la", /unknown option '-la'/],
  ["run base ls", /too many arguments[^]*after --: msb run \[IMAGE\] \[-- COMMAND\.\.\.\]/],
  ["exec", /missing required argument 'NAME'/],
  ["exec demo ls", /too many arguments/],
  ["exec --stream --tty demo", /cannot be used with/],
  ["ls demo", /too many arguments/],
  ["ls --running --stopped", /cannot be used with/],
  ["ls --format yaml", /"yaml" is not known\.\n {2}→ Allowed: json/],
  ["ls --error --debug", /cannot be used with/],
  ["stop -f -t 5 demo", /cannot be used with/],
  ["metrics --interval 50ms", /less than 100ms/],
  ["logs --since yesterday demo", /is not a time/],
  ["logs --grep ( demo", /is not a regular expression/],
  ["ls -- demo", /too many arguments/],
  ["image foo", /unknown command 'foo'\n {2}→ msb image --help shows the commands\n/],
  ["save -o= x", /a file is expected, not nothing/],
  ["load --input= -q", /a file is expected/],
  ["pull --ca-certs= x", /a file is expected/],
  ["registry login -u= x", /a name is expected/],
  ["run --name= base", /a name is expected/],
  ["run -m 512b", /"512b" is not a size/],
  ["logs --since 2026-02-30T00:00:00Z demo", /is not a time/],
  ["completion", /missing required argument 'SHELL'/],
];

test("a wrong command line is left to commander, which explains it and exits with 2", async () => {
  for (const [text, message] of wrong) {
    const line = text.split(" ");
    if (line[0] !== "rnu" && line[1] !== "foo") assert.equal(await quick(line), null, text);
    const result = await full(line);
    assert.ok("code" in result, text);
    assert.equal(result.code, 2, text);
    assert.equal(result.out, "", text);
    assert.match(result.err, message, text);
    assert.match(result.err, /^error: /, text);
  }
});

test("a family without one of its members shows what there is, on stderr", async () => {
  const none = await full(["image"]);
  assert.ok("code" in none);
  assert.equal(none.code, 2);
  assert.equal(none.out, "");
  assert.match(none.err, /^Usage: msb image [^]*^Commands:$[^]*^ {2}pull /m);
  const mistyped = await full(["image", "pul"]);
  assert.ok("code" in mistyped);
  assert.match(mistyped.err, /^error: unknown command 'pul'\n {2}→ Did you mean pull\?/);
  const help = await full(["image", "pull", "--help"]);
  assert.ok("code" in help);
  assert.equal(help.code, 0);
  assert.match(help.out, /^Usage: msb image pull \[options\] REFERENCE$/m);
});

const hidden: ReadonlySet<string> = new Set(["__complete", "images", "rmi"]);

test("help goes to stdout with code 0, and lists every command and option", async () => {
  const root = await full([]);
  assert.ok("code" in root);
  assert.equal(root.code, 0);
  assert.equal(root.err, "");
  for (const { names } of commandEntries) {
    if (hidden.has(names[0] ?? "")) assert.doesNotMatch(root.out, new RegExp(`^ {2}${names.join("")} `, "m"));
    else assert.match(root.out, new RegExp(`^ {2}${names.join("\\|")} `, "m"));
  }
  assert.match(root.out, /^Sandboxes:$/m);
  const help = await full(["run", "--help"]);
  assert.ok("code" in help);
  assert.equal(help.code, 0);
  for (const option of [
    "--detach-keys <KEYS>",
    "--replace-with-timeout",
    "--no-tty",
    "--thp",
    "-c, --cpus",
  ]) {
    assert.ok(help.out.includes(option), option);
  }
});

test("msb help COMMAND is msb COMMAND --help", async () => {
  assert.deepEqual(await quick(["help", "run"]).then((invocation) => invocation?.operands), ["run"]);
  for (const words of [[], ["run"], ["ls"], ["image"], ["image", "pull"], ["help"]]) {
    assert.deepEqual(await help(...words), await full([...words, "--help"]), words.join(" "));
  }
  assert.match((await help("image", "pull")).out, /^Usage: msb image pull /);
});

test("help for a command that does not exist is an error with the nearest name", async () => {
  const asked = [
    (...words: string[]) => help(...words),
    (...words: string[]) => full([...words, "--help"]),
    (...words: string[]) => full(["-h", ...words]),
  ];
  for (const ask of asked) {
    assert.deepEqual(await ask("rnu"), {
      code: 2,
      out: "",
      err: "error: unknown command 'rnu'\n  → Did you mean run?\n  → msb --help shows the commands\n",
    });
    assert.deepEqual(await ask("image", "pul"), {
      code: 2,
      out: "",
      err: "error: unknown command 'pul'\n  → Did you mean pull?\n  → msb image --help shows the commands\n",
    });
  }
});

test("an option that is given twice is what it is given last, as for docker", async () => {
  for (const line of [
    ["run", "-c", "1", "--cpus=2"],
    ["run", "--cpus", "1", "-c2"],
  ]) {
    const invocation = await quick(line);
    assert.equal(invocation?.options["cpus"], 2);
    const slow = await full(line);
    assert.ok("invocation" in slow);
    assert.equal(slow.invocation.options["cpus"], 2);
  }
});

test("a short option's value may follow an equals sign, as for docker", async () => {
  const invocation = await quick(["save", "x", "-o=a=b"]);
  assert.equal(invocation?.options["output"], "a=b");
  const separate = await quick(["exec", "-w", "=x", "demo"]);
  assert.equal(separate?.options["workdir"], "=x");
  const slow = await full(["run", "--label", "-n=x", "-n=y"]);
  assert.ok("invocation" in slow);
  assert.deepEqual(slow.invocation.options["label"], [["-n", "x"]]);
  assert.equal(slow.invocation.options["name"], "y");
});

test("names that no help tells are those that it tells", () => {
  const shown = (...args: string[]): readonly string[] => withShownNames(commandEntries, args);
  assert.deepEqual(shown("--debug", "volumes", "ls", "vols"), ["--debug", "volume", "ls", "vols"]);
  assert.deepEqual(shown("vols"), ["volume"]);
  assert.deepEqual(shown("rm", "volumes"), ["rm", "volumes"]);
  assert.deepEqual(shown("--version"), ["--version"]);
});

test("quick parsing keeps away from help", async () => {
  assert.equal(await quick(["run", "--help"]), null);
  assert.equal(await quick(["ls", "-h"]), null);
  assert.deepEqual((await quick(["run", "--", "--help"]))?.guestCommand, ["--help"]);
});

test("the name of each command and its aliases are the same in the registry and in the command", async () => {
  for (const entry of commandEntries) {
    for (const leaf of isFamily(entry) ? entry.members : [entry]) {
      const command = await leaf.load();
      assert.deepEqual([command.name, ...(command.aliases ?? [])], leaf.names);
      assert.equal(command.parent, isFamily(entry) ? entry.names[0] : undefined, command.name);
    }
  }
});
