import type { Mount, PatchConfig, SandboxConfigInput, SecretInput } from "../../api/index.ts";
import { ToolError } from "../call/tool-failure.ts";
import type { Workbench } from "../workbench.ts";
import type { CreateInput } from "./create-input.ts";
import { given } from "./fields.ts";

type MountConfig = ReturnType<(typeof Mount)["tmpfs"]>;
type Item<List> = NonNullable<List> extends readonly (infer One)[] ? One : never;

/** What a sandbox is to be, for the SDK, and which paths of the host it was allowed for. */
export interface CheckedCreation {
  readonly config: SandboxConfigInput;
  /** Absolute, without links: to be looked at again when it runs. */
  readonly hostPaths: readonly string[];
}

/** Turns the input into a configuration of the SDK: by the server's rules, paths of the host looked up. @throws ToolError */
export async function checkedCreation(
  bench: Workbench,
  name: string,
  input: CreateInput,
): Promise<CheckedCreation> {
  const hostPaths: string[] = [];
  const allow = async (path: string): Promise<string> => {
    const { real } = await bench.paths.check(path);
    hostPaths.push(real);
    return real;
  };
  const { labels, process = {}, lifecycle = {}, network = {}, resources = {} } = input;
  const { detached = false, ephemeral = !detached, replace, replaceTimeoutMs, ...limits } = lifecycle;
  const config: SandboxConfigInput = {
    name,
    ...(await root(input, allow)),
    ...given({ ...resources, labels, ...limits }),
    ...(given({
      ...process,
      rlimits: process.rlimits?.map(({ hard, ...limit }) => ({ ...limit, hard: hard ?? limit.soft })),
    }) as object),
    ephemeral,
    ...given({ replace, replaceWithTimeoutMs: replaceTimeoutMs }),
    volumes: await mounts(input, allow),
    patches: await patches(input, allow),
    ...(network.disabled === true ? { disableNetwork: true } : {}),
    ...(await networkOf(bench, network, allow)),
    secrets: (input.secrets ?? []).map((secret) => secretOf(bench, secret)),
  };
  return { config, hostPaths };
}

async function root(input: CreateInput, allow: (path: string) => Promise<string>): Promise<object> {
  const { image, rootfs } = input;
  const said = [image, rootfs?.oci, rootfs?.bind, rootfs?.disk, rootfs?.snapshot].filter(
    (one) => one !== undefined,
  );
  if (said.length > 1 || (rootfs !== undefined && said.length === 0)) {
    throw new ToolError(
      "invalid_input",
      "what the root file system is made from has to be said once",
      "Give image, or rootfs with exactly one of oci, bind, disk and snapshot.",
    );
  }
  if (rootfs?.snapshot !== undefined) return { fromSnapshot: rootfs.snapshot };
  if (rootfs?.bind !== undefined) return { image: { kind: "bind", path: await allow(rootfs.bind) } };
  if (rootfs?.disk !== undefined) {
    const { path, format, fstype } = rootfs.disk;
    return {
      image: {
        kind: "disk",
        path: await allow(path),
        format: format ?? formatOf(path),
        ...given({ fstype }),
      },
    };
  }
  // Never as a text, which may be a path of the host.
  return { image: { kind: "oci", reference: image ?? rootfs?.oci ?? "localhost/base" } };
}

function formatOf(path: string): "raw" | "qcow2" | "vmdk" {
  const end = /\.(raw|qcow2|vmdk)$/i.exec(path)?.[1]?.toLowerCase();
  return end === "qcow2" || end === "vmdk" ? end : "raw";
}

async function mounts(
  input: CreateInput,
  allow: (path: string) => Promise<string>,
): Promise<Record<string, MountConfig>> {
  const mounted: Record<string, MountConfig> = {};
  for (const { guestPath, bind, volume, disk, ...options } of input.mounts ?? []) {
    if (Object.hasOwn(mounted, guestPath))
      throw new ToolError("invalid_input", `two mounts are at ${guestPath}`, "Give one another place.");
    mounted[guestPath] = given({
      bind: bind === undefined ? undefined : await allow(bind),
      disk: disk === undefined ? undefined : await allow(disk),
      named: volume,
      mode: volume === undefined ? undefined : ("ensure-exists" as const),
      ...options,
    });
  }
  return mounted;
}

async function patches(
  input: CreateInput,
  allow: (path: string) => Promise<string>,
): Promise<readonly PatchConfig[]> {
  const made: PatchConfig[] = [];
  for (const { src, ...patch } of input.patches ?? [])
    made.push(given({ ...patch, src: src === undefined ? undefined : await allow(src) }));
  return made;
}

const loopback = /^(127(\.\d{1,3}){3}|::1)$/;

async function networkOf(
  bench: Workbench,
  network: NonNullable<CreateInput["network"]>,
  allow: (path: string) => Promise<string>,
): Promise<object> {
  const { ports, maxConnections, trustHostCas, ipv4Pool, ipv6Pool, dns, tls } = network;
  for (const { bindAddress } of ports ?? [])
    if (bindAddress !== undefined && !loopback.test(bindAddress))
      bench.requireDangerous(`publishing a port at ${bindAddress}, where other computers reach it`);
  if (dns?.allowRebind === true) bench.requireDangerous("passing on answers that name private addresses");
  const pools = given({ ipv4Pool, ipv6Pool });
  const asked = given({
    maxConnections,
    trustHostCAs: trustHostCas,
    interface: Object.keys(pools).length === 0 ? undefined : pools,
    dns:
      dns === undefined
        ? undefined
        : given({
            rebindProtection: dns.allowRebind === undefined ? undefined : !dns.allowRebind,
            nameservers: dns.nameservers,
            queryTimeoutMs: dns.queryTimeoutMs,
          }),
    tls: tls === undefined ? undefined : await tlsOf(tls, allow),
  });
  return given({
    ports: ports?.map(({ bindAddress, ...port }) => given({ ...port, hostBind: bindAddress })),
    network: Object.keys(asked).length === 0 ? undefined : asked,
  });
}

async function tlsOf(
  tls: NonNullable<NonNullable<CreateInput["network"]>["tls"]>,
  allow: (path: string) => Promise<string>,
): Promise<object> {
  const { ports, bypassDomains, blockQuic, caCertPath, caKeyPath, upstreamCaCertPaths } = tls;
  return given({
    interceptedPorts: ports,
    bypass: bypassDomains,
    blockQuic,
    interceptCaCert: caCertPath === undefined ? undefined : await allow(caCertPath),
    interceptCaKey: caKeyPath === undefined ? undefined : await allow(caKeyPath),
    upstreamCaCert:
      upstreamCaCertPaths === undefined ? undefined : await Promise.all(upstreamCaCertPaths.map(allow)),
  });
}

function secretOf(bench: Workbench, secret: Item<CreateInput["secrets"]>): SecretInput {
  const { envVar, valueEnv, allowedHost } = secret;
  if ((secret.value === undefined) === (valueEnv === undefined)) {
    throw new ToolError(
      "invalid_input",
      `the secret ${envVar} has to have one value`,
      "Give value or valueEnv.",
    );
  }
  // The server's environment is the host's: whoever may name a variable and a host could send anything anywhere.
  if (valueEnv !== undefined) bench.requireDangerous("taking a secret from the server's environment");
  const value = secret.value ?? process.env[valueEnv ?? ""];
  if (value === undefined || value === "") {
    throw new ToolError(
      "invalid_input",
      `the server has no variable ${String(valueEnv)}`,
      "Name one that is set.",
    );
  }
  bench.secrets.add(value);
  if (/^[*.]*$|^\*\.?[^.]*$/.test(allowedHost))
    bench.requireDangerous(`a secret for ${allowedHost}, which is nearly any host,`);
  const hosts = allowedHost.includes("*")
    ? { allowHostPatterns: [allowedHost] }
    : { allowHosts: [allowedHost] };
  return { envVar, value, ...hosts };
}
