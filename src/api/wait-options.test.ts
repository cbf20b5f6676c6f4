import assert from "node:assert/strict";
import { fileURLToPath } from "node:url";
import { test } from "node:test";
import ts from "typescript";

// "Every public method that waits takes { signal, timeoutMs }": read from the types of what the package exports, so that a method
// that is added without them is found, whatever it does.

/** What returns a promise and has no such options, and why. */
const exceptions: Readonly<Record<string, string>> = {
  "ExecHandle.signal": "waits for nothing: the message is on its way when it returns",
  "ExecHandle.kill": "as signal",
  "ExecHandle.resize": "as signal",
  "JobAttachment.resize": "as signal",
  "JobAttachment.detach": "as signal",
  "SshCommand.signal": "as signal of a handle",
  "SshCommand.kill": "as signal of a handle",
  "SshCommand.resize": "as signal of a handle",
  "SshCommand.release": "as signal of a handle",
  "SshClient.close": "ends whatever could be waited for",
  "SftpClient.close": "ends whatever could be waited for",
  "SshServer.close": "ends whatever could be waited for",
  "SshServer.listen": "waits for this computer alone",
  "SshServer.serve": "lasts as long as the client; close() ends it",
  "SshServer.serveConnection": "lasts as long as the client; close() ends it",
  "SandboxEvents.next": "events() takes them, for all of the iteration",
  "SandboxEvents.return": "waits for nothing",
  withDefaultBackend: "waits for the caller's own function",
  ...Object.fromEntries(
    [
      ...["create", "list", "mkdir", "read", "readLink", "remove", "removeDirectory", "rename"],
      ...["setAttributes", "stat", "statFs", "symlink", "truncate", "write"],
    ].map((method) => [`MemoryProvider.${method}`, "is this program's memory: waits for nothing"]),
  ),
};

const entry = fileURLToPath(new URL("./index.ts", import.meta.url));
const program = ts.createProgram([entry], {
  target: ts.ScriptTarget.ESNext,
  module: ts.ModuleKind.NodeNext,
  moduleResolution: ts.ModuleResolutionKind.NodeNext,
  allowImportingTsExtensions: true,
  noEmit: true,
  strict: true,
  types: ["node"],
});
const checker = program.getTypeChecker();

/** A method or a function that returns a promise. */
interface WaitingCall {
  readonly name: string;
  readonly takesOptions: boolean;
}

const hidden = ts.ModifierFlags.Private | ts.ModifierFlags.Protected;

/** Well-known symbols are called by the language, which gives no options. */
function isPublic(symbol: ts.Symbol): boolean {
  const declarations = symbol.getDeclarations() ?? [];
  return !(
    /^(#|__@)/.test(symbol.name) ||
    declarations.some((one) => (ts.getCombinedModifierFlags(one) & hidden) !== 0) ||
    symbol.getJsDocTags(checker).some(({ name }) => name === "internal")
  );
}

function isPromise(type: ts.Type): boolean {
  return type.getSymbol()?.name === "Promise";
}

/** Whether a parameter is declared so that both may be said in it. */
function isWaitOptions(parameter: ts.Symbol, at: ts.Node): boolean {
  const type = checker.getNonNullableType(checker.getTypeOfSymbolAtLocation(parameter, at));
  return (
    checker.getPropertyOfType(type, "signal") !== undefined &&
    checker.getPropertyOfType(type, "timeoutMs") !== undefined
  );
}

function waitingCall(name: string, symbol: ts.Symbol, at: ts.Node): WaitingCall[] {
  const signatures = checker
    .getTypeOfSymbolAtLocation(symbol, at)
    .getCallSignatures()
    .filter((signature) => isPromise(signature.getReturnType()));
  if (signatures.length === 0) return [];
  const takesOptions = signatures.every((signature) =>
    signature.getParameters().some((parameter) => isWaitOptions(parameter, at)),
  );
  return [{ name, takesOptions }];
}

/** What a class of ours has from one of Node's, such as a stream. */
function isOfNode({ declarations = [] }: ts.Symbol): boolean {
  return (
    declarations.length > 0 &&
    declarations.every((declaration) => declaration.getSourceFile().fileName.includes("/@types/node/"))
  );
}

/** Of a class its methods and its statics, of a function itself. */
function waitingCalls(exported: ts.Symbol, at: ts.Node): WaitingCall[] {
  const symbol =
    (exported.flags & ts.SymbolFlags.Alias) === 0 ? exported : checker.getAliasedSymbol(exported);
  if ((symbol.flags & ts.SymbolFlags.Value) === 0) return [];
  const type = checker.getTypeOfSymbolAtLocation(symbol, at);
  const instances = type.getConstructSignatures().map((signature) => signature.getReturnType());
  const members = [type, ...instances].flatMap((owner) => checker.getPropertiesOfType(owner));
  const methods = members
    .filter((member) => isPublic(member) && !isOfNode(member))
    .flatMap((member) => waitingCall(`${exported.name}.${member.name}`, member, at));
  return [...waitingCall(exported.name, symbol, at), ...methods];
}

test("every public call that waits declares signal and timeoutMs", () => {
  const source = program.getSourceFile(entry);
  assert.ok(source !== undefined);
  const module = checker.getSymbolAtLocation(source);
  assert.ok(module !== undefined);
  const calls = checker.getExportsOfModule(module).flatMap((exported) => waitingCalls(exported, source));
  const names = new Set(calls.map(({ name }) => name));
  // The types were understood: all kinds of calls are among them.
  for (const name of [
    ...["Sandbox.create", "Sandbox.get", "Sandbox.exec", "Sandbox.attach", "SandboxHandle.waitForStatus"],
    ...["ExecHandle.collect", "ExecSink.write", "LogStream.recv", "MetricsStream.recv", "Image.load"],
    ...["PullProgressStream.recv", "PullProgressCreate.awaitSandbox", "SandboxBuilder.create", "diagnose"],
  ]) {
    assert.ok(names.has(name), name);
  }
  const without = calls.filter(({ takesOptions }) => !takesOptions).map(({ name }) => name);
  assert.deepEqual(new Set(without), new Set(Object.keys(exceptions)));
});
