import assert from "node:assert/strict";
import { test } from "node:test";
import { ImageError } from "../errors/index.ts";
import { digestOf } from "./digest.ts";
import { parseImageConfig } from "./image-config.ts";
import {
  maximumLayers,
  maximumManifestBytes,
  mediaTypes,
  parseManifest,
  type Descriptor,
} from "./manifest.ts";
import { suitableEntries } from "./platform.ts";
import { resolveImage, type ManifestSource } from "./resolve.ts";

const digest = `sha256:${"a".repeat(64)}`;
const config = { mediaType: mediaTypes.ociConfig, digest, size: 2 };
const layer = { mediaType: `${mediaTypes.ociLayer}+gzip`, digest, size: 100 };
const image = { schemaVersion: 2, mediaType: mediaTypes.ociManifest, config, layers: [layer] };
const index = { schemaVersion: 2, mediaType: mediaTypes.ociIndex, manifests: [] as unknown[] };

const bytes = (document: unknown): Buffer => Buffer.from(JSON.stringify(document));

test("OCI and docker manifests and indexes are read", () => {
  assert.equal(parseManifest(bytes(image), null, "it").kind, "image");
  assert.equal(
    parseManifest(bytes({ ...image, mediaType: undefined }), mediaTypes.ociManifest, "it").kind,
    "image",
  );
  assert.equal(parseManifest(bytes({ ...image, mediaType: undefined }), "text/plain", "it").kind, "image");
  const docker = {
    ...image,
    mediaType: mediaTypes.dockerManifest,
    config: { ...config, mediaType: mediaTypes.dockerConfig },
    layers: [{ ...layer, mediaType: "application/vnd.docker.image.rootfs.diff.tar.gzip" }],
  };
  assert.equal(
    parseManifest(bytes(docker), `${mediaTypes.dockerManifest}; charset=utf-8`, "it").kind,
    "image",
  );
  assert.equal(parseManifest(bytes(index), mediaTypes.ociIndex, "it").kind, "index");
  assert.equal(
    parseManifest(bytes({ ...index, mediaType: mediaTypes.dockerList }), null, "it").kind,
    "index",
  );
});

const layers = (count: number): unknown => ({ ...image, layers: Array.from({ length: count }, () => layer) });
const withLayer = (change: object): unknown => ({ ...image, layers: [{ ...layer, ...change }] });
const withConfig = (change: object): unknown => ({ ...image, config: { ...config, ...change } });
const withEntry = (change: object): unknown => ({
  ...index,
  manifests: [{ mediaType: mediaTypes.ociManifest, digest, size: 1, ...change }],
});

const hostile: readonly (readonly [string, Uint8Array, string | null, RegExp])[] = [
  ["nothing", Buffer.alloc(0), null, /not JSON/],
  ["no JSON", Buffer.from("{"), null, /not JSON/],
  ["no UTF-8", Buffer.from([0x22, 0xff, 0x22]), null, /not JSON/],
  ["a list", bytes([image]), null, /not a JSON object/],
  ["null", bytes(null), null, /not a JSON object/],
  ["too many bytes", Buffer.alloc(maximumManifestBytes + 1, 32), null, /longer than 4 MiB/],
  ["docker's schema 1", bytes({ schemaVersion: 1, name: "x", fsLayers: [] }), null, /schema 1/],
  [
    "schema 1 by its type",
    bytes({ schemaVersion: 2 }),
    "application/vnd.docker.distribution.manifest.v1+prettyjws",
    /schema 1/,
  ],
  ["a later schema", bytes({ ...image, schemaVersion: 3 }), null, /schemaVersion/],
  ["an unknown media type", bytes({ ...image, mediaType: "application/x" }), null, /no container image/],
  ["an image and an index in one", bytes({ ...image, manifests: [] }), null, /as an image and as an index/],
  [
    "an image that is sent as an index",
    bytes(image),
    mediaTypes.ociIndex,
    /one kind of document and is another/,
  ],
  [
    "an index that says it is an image",
    bytes({ ...index, mediaType: mediaTypes.ociManifest }),
    null,
    /one kind/,
  ],
  [
    "an image that says it is an index",
    bytes({ ...image, mediaType: mediaTypes.ociIndex }),
    null,
    /one kind/,
  ],
  ["no config", bytes({ ...image, config: undefined }), null, /config/],
  ["no layers", bytes({ ...image, layers: undefined }), null, /layers/],
  ["layers that are none", bytes({ ...image, layers: ["x"] }), null, /layers\.0/],
  ["too many layers", bytes(layers(maximumLayers + 1)), null, /501 layers/],
  [
    "a Helm chart",
    bytes(withConfig({ mediaType: "application/vnd.cncf.helm.config.v1+json" })),
    null,
    /no container image/,
  ],
  ["a config that is too long", bytes(withConfig({ size: 2 ** 30 })), null, /longer than 4 MiB/],
  [
    "a config digest that leads elsewhere",
    bytes(withConfig({ digest: "sha256:../../../etc/passwd" })),
    null,
    /cannot be verified/,
  ],
  ["a negative size", bytes(withLayer({ size: -1 })), null, /size/],
  ["a size that is no whole number", bytes(withLayer({ size: 1.5 })), null, /size/],
  ["a size beyond what can be counted", bytes(withLayer({ size: 2 ** 60 })), null, /size/],
  ["a size that is text", bytes(withLayer({ size: "1" })), null, /size/],
  ["an unknown algorithm", bytes(withLayer({ digest: `md5:${"a".repeat(32)}` })), null, /cannot be verified/],
  ["a short digest", bytes(withLayer({ digest: "sha256:abc" })), null, /cannot be verified/],
  [
    "a digest in upper case",
    bytes(withLayer({ digest: `sha256:${"A".repeat(64)}` })),
    null,
    /cannot be verified/,
  ],
  [
    "an encrypted layer",
    bytes(withLayer({ mediaType: `${mediaTypes.ociLayer}+gzip+encrypted` })),
    null,
    /encrypted/,
  ],
  ["an unknown kind of layer", bytes(withLayer({ mediaType: "text/plain" })), null, /unknown media type/],
  ["an index entry without a digest", bytes(withEntry({ digest: undefined })), null, /digest/],
  [
    "an index entry with a bad digest",
    bytes(withEntry({ digest: "sha256:../x" })),
    null,
    /cannot be verified/,
  ],
];

for (const [name, document, mediaType, message] of hostile) {
  test(`${name} is refused`, () => {
    assert.throws(
      () => parseManifest(document, mediaType, "the manifest"),
      (error) => {
        assert.ok(error instanceof ImageError, String(error));
        assert.match(error.message, message);
        return true;
      },
    );
  });
}

const goodConfig = { architecture: "amd64", os: "linux", rootfs: { type: "layers", diff_ids: [digest] } };
const hostileConfigs: readonly (readonly [string, unknown, RegExp])[] = [
  [
    "more diff ids than layers",
    { ...goodConfig, rootfs: { type: "layers", diff_ids: [digest, digest] } },
    /lists 2 layers/,
  ],
  ["no diff ids", { ...goodConfig, rootfs: { type: "layers", diff_ids: null } }, /lists 0 layers/],
  [
    "a diff id that is none",
    { ...goodConfig, rootfs: { type: "layers", diff_ids: ["x"] } },
    /cannot be verified/,
  ],
  ["no rootfs", { ...goodConfig, rootfs: undefined }, /rootfs/],
  ["another rootfs", { ...goodConfig, rootfs: { type: "windows", diff_ids: [digest] } }, /rootfs/],
  ["an env that is no list", { ...goodConfig, config: { Env: "A=1" } }, /Env/],
  ["no platform", { ...goodConfig, os: undefined }, /os/],
  [
    "more values than an image needs",
    { ...goodConfig, history: Array(100_001).fill("") },
    /more than 100000 values/,
  ],
  [
    "arrays that nest deep",
    { ...goodConfig, history: Array(50).fill(deepArray(1000)) },
    /nested more than 64 deep/,
  ],
];

/** Brackets in strings, and behind quotation marks in strings, are none. */
test("a config with brackets in its text is read", () => {
  const config = { Labels: { a: "[{".repeat(50_000), b: '\\"[[['.repeat(20_000) } };
  assert.deepEqual(parseImageConfig(bytes({ ...goodConfig, config }), 1, "the config").labels, config.Labels);
});

function deepArray(depth: number): unknown {
  let value: unknown = [];
  for (let level = 1; level < depth; level++) value = [value];
  return value;
}

for (const [name, document, message] of hostileConfigs) {
  test(`a config with ${name} is refused`, () => {
    assert.throws(() => parseImageConfig(bytes(document), 1, "the config"), message);
  });
}

test("labels are kept whatever they are called, and text is made well-formed as Go makes it", () => {
  const document = JSON.stringify({ ...goodConfig, config: { Labels: {}, Env: ["A="], User: "" } })
    .replace('"Labels":{}', '"Labels":{"__proto__":"a","constructor":"b"}')
    .replace('"A="', String.raw`"A=\ud800"`)
    .replace('"User":""', String.raw`"User":"\udc00"`);
  const parsed = parseImageConfig(Buffer.from(document), 1, "the config");
  assert.deepEqual(Object.entries(parsed.labels), [
    ["__proto__", "a"],
    ["constructor", "b"],
  ]);
  assert.deepEqual([parsed.env, parsed.user], [["A=\ufffd"], "\ufffd"]);
});

test("a config as Go writes it, and as old docker wrote it, is read", () => {
  const parsed = parseImageConfig(
    bytes({
      ...goodConfig,
      config: { Env: null, Cmd: "run", Entrypoint: [], WorkingDir: "", User: "", Labels: null },
    }),
    1,
    "it",
  );
  assert.deepEqual(
    [parsed.env, parsed.cmd, parsed.entrypoint, parsed.workingDir, parsed.user, parsed.labels],
    [[], ["run"], null, null, null, {}],
  );
});

const amd64 = { os: "linux", architecture: "amd64" };
const entry = (platform?: object, name = "b"): Descriptor =>
  ({
    mediaType: mediaTypes.ociManifest,
    digest: `sha256:${name.repeat(64)}`,
    size: 1,
    platform,
  }) as Descriptor;

test("the platform is chosen, its best variant first, attestations left out", () => {
  const plain = entry({ os: "linux", architecture: "arm64" });
  const v8 = entry({ os: "linux", architecture: "arm64", variant: "v8" });
  const v7 = entry({ os: "linux", architecture: "arm", variant: "v7" });
  const attestation = entry({ os: "unknown", architecture: "unknown" });
  const windows = entry({ os: "windows", architecture: "amd64" });
  const all = [attestation, windows, v7, plain, v8];
  assert.deepEqual(suitableEntries(all, { os: "linux", architecture: "arm64" }), [v8, plain]);
  assert.deepEqual(suitableEntries(all, amd64), []);
  // The one that most processors can run, if there are several; AVX-512 is too rare to be taken for granted.
  const levels = ["v3", "v4", "v2"].map((variant) => entry({ ...amd64, variant }));
  const [v3, v4, v2] = levels;
  assert.deepEqual(suitableEntries(levels, amd64), [v2, v3]);
  assert.deepEqual(suitableEntries([...levels, entry(amd64)], amd64), [entry(amd64), v2, v3]);
  assert.deepEqual(suitableEntries(levels, { ...amd64, variant: "v4" }), [v4]);
  const unsaid = entry(undefined);
  assert.deepEqual(suitableEntries([unsaid, entry(amd64)], amd64), [entry(amd64), unsaid]);
});

/** Manifests by digest, as a registry that checks nothing would give them. */
function sourceOf(documents: ReadonlyMap<string, unknown>): ManifestSource {
  return {
    fetchManifest: ({ digest: wanted }) => Promise.resolve(bytes(documents.get(wanted))),
  };
}

test("an image is found through nested indexes", async () => {
  const inner = { ...index, manifests: [entry(amd64, "1")] };
  const outer = bytes({
    ...index,
    manifests: [{ ...entry(undefined, "2"), mediaType: mediaTypes.ociIndex }],
  });
  const documents = new Map<string, unknown>([
    [`sha256:${"1".repeat(64)}`, image],
    [`sha256:${"2".repeat(64)}`, inner],
  ]);
  const root = { digest: digestOf(outer), mediaType: mediaTypes.ociIndex, bytes: outer };
  const found = await resolveImage(root, sourceOf(documents), amd64, "it");
  assert.equal(found.digest, `sha256:${"1".repeat(64)}`);
});

const nested = (name: string): object => ({ ...entry(undefined, name), mediaType: mediaTypes.ociIndex });

test("indexes that go round in circles, too deep or too wide are refused", async () => {
  const root = (manifests: unknown[]): Parameters<typeof resolveImage>[0] => {
    const content = bytes({ ...index, manifests });
    return { digest: `sha256:${"0".repeat(64)}`, mediaType: mediaTypes.ociIndex, bytes: content };
  };
  const circle = new Map<string, unknown>([
    [`sha256:${"1".repeat(64)}`, { ...index, manifests: [nested("2")] }],
    [`sha256:${"2".repeat(64)}`, { ...index, manifests: [nested("1")] }],
  ]);
  await assert.rejects(resolveImage(root([nested("1")]), sourceOf(circle), amd64, "it"), /round in circles/);
  await assert.rejects(resolveImage(root([nested("0")]), sourceOf(circle), amd64, "it"), /round in circles/);

  const names = Array.from("123456789abcdef");
  const deep = new Map(
    names.map((name, i) => [
      `sha256:${name.repeat(64)}`,
      { ...index, manifests: [nested(names[i + 1] ?? "0")] },
    ]),
  );
  await assert.rejects(
    resolveImage(root([nested("1")]), sourceOf(deep), amd64, "it"),
    /nested more than 4 deep/,
  );

  const digests = Array.from({ length: 100 }, (_, i) => `sha256:${String(i).padStart(64, "0")}`);
  const wide = new Map(digests.map((each) => [each, index]));
  const entries = digests.map((each) => ({ mediaType: mediaTypes.ociIndex, digest: each, size: 1 }));
  await assert.rejects(resolveImage(root(entries.slice(1)), sourceOf(wide), amd64, "it"), /too many nested/);
  const windows = entry({ os: "windows", architecture: "amd64" });
  await assert.rejects(resolveImage(root([windows]), sourceOf(wide), amd64, "it"), (error) => {
    assert.ok(error instanceof ImageError);
    assert.match(error.message, /no image for linux\/amd64/);
    assert.match(error.hint, /windows\/amd64/);
    return true;
  });
});

/** The same on every machine (mulberry32). */
function generator(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296;
  };
}

test("mutated manifests, indexes and configs are read or refused with an ImageError", () => {
  const next = generator(3);
  const seeds = [
    image,
    { ...index, manifests: [entry(amd64), nested("1")] },
    { ...goodConfig, config: { Cmd: ["a"] } },
  ];
  const pieces = [
    "null",
    "[]",
    "{}",
    "-1",
    "1e400",
    '"x"',
    "true",
    ",",
    ":",
    '"mediaType"',
    '"__proto__":{}',
    "\\u0000",
  ];
  let read = 0;
  for (let round = 0; round < 10_000; round += 1) {
    let text = JSON.stringify(seeds[round % seeds.length]);
    for (let change = 0; change <= next() * 3; change += 1) {
      const start = Math.floor(next() * text.length);
      const end = start + Math.floor(next() * 12);
      text = text.slice(0, start) + (pieces[Math.floor(next() * pieces.length)] ?? "") + text.slice(end);
    }
    if (round % 10 === 0) text = JSON.stringify(seeds[round % seeds.length]).replace("100", String(next()));
    for (const read1 of [
      () => parseManifest(Buffer.from(text), null, "it"),
      () => parseImageConfig(Buffer.from(text), 1, "it"),
    ]) {
      try {
        read1();
        read += 1;
      } catch (error) {
        if (!(error instanceof ImageError)) throw error;
      }
    }
  }
  assert.ok(read > 100, String(read));
});
