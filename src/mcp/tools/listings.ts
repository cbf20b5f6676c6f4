import {
  diagnose,
  Image,
  isInstalled,
  Sandbox,
  Snapshot,
  Volume,
  type ImageHandle,
  type SandboxHandle,
  type SnapshotHandle,
  type VolumeHandle,
} from "../../api/index.ts";
import type { Workbench } from "../workbench.ts";
import { makeTools } from "./sandbox/make-tools.ts";

/** What is listed as a resource, and by tools. */
export type Listed =
  "runtime" | "sandboxes" | "volumes" | "images" | "snapshots" | "schemas/sandbox-create" | "policy";

export async function listOf(what: Listed, bench: Workbench, signal: AbortSignal): Promise<unknown> {
  switch (what) {
    case "runtime":
      return { installed: isInstalled(), checks: await diagnose({ signal }) };
    case "sandboxes":
      return (await Sandbox.list({ signal })).map((handle) => sandboxRow(bench, handle));
    case "volumes":
      return (await Volume.list({ signal })).map(volumeRow);
    case "images":
      return (await Image.list({ signal })).map(imageRow);
    case "snapshots":
      return (await Snapshot.list({ signal })).map(snapshotRow);
    case "schemas/sandbox-create":
      return makeTools.find(({ name }) => name === "sandbox_create")?.inputSchema() ?? {};
    case "policy":
      return policyOf(bench);
  }
}

export function sandboxRow(bench: Workbench, handle: SandboxHandle): object {
  const { name, id, status, createdAt, updatedAt } = handle;
  const { image, labels, cpus, memoryMib } = handle.config();
  return {
    name,
    id,
    status,
    image,
    cpus,
    memoryMib,
    labels,
    createdAt,
    updatedAt,
    ports: handle.publishedPorts,
    endsWithServer: bench.sandboxes.has(id),
  };
}

export function volumeRow(volume: VolumeHandle): object {
  const { name, kind, quotaMib, usedBytes, capacityBytes, labels, createdAt } = volume;
  return { name, kind, quotaMib, usedBytes, capacityBytes, labels: Object.fromEntries(labels), createdAt };
}

export function imageRow(image: ImageHandle): object {
  const { reference, sizeBytes, manifestDigest, architecture, os, layerCount } = image;
  const { lastUsedAt, createdAt, damage } = image;
  return {
    reference,
    sizeBytes,
    manifestDigest,
    architecture,
    os,
    layerCount,
    lastUsedAt,
    createdAt,
    damage,
  };
}

export function snapshotRow(snapshot: SnapshotHandle): object {
  const { name, digest, parentDigest, imageRef, sizeBytes, createdAt, scope } = snapshot;
  return { name, digest, parentDigest, imageRef, sizeBytes, createdAt, scope };
}

function policyOf({ settings, paths }: Workbench): object {
  const { dangerous, maxOutputBytes, defaultTimeoutMs, sessionTtlMs } = settings;
  return {
    hostPaths: paths.roots,
    dangerousOperations: dangerous,
    maxOutputBytes,
    defaultTimeoutMs,
    sessionTtlMs,
  };
}
