import type { VNode } from "preact";
import { useRef, useState } from "preact/hooks";
import type { FilePreview, FileRow, SandboxRow } from "../../wire.ts";
import { formText } from "../parts/form-text.ts";
import { bytes, date, plain } from "../parts/format.ts";
import { useCall, Waiting } from "../parts/loaded.tsx";
import { NeedsRunning } from "../parts/needs-running.tsx";
import { call, complain, fetchFile, sendFile, tell } from "../state/call.ts";

/** The files of a sandbox that runs. */
export function Files({ row }: { readonly row: SandboxRow }): VNode {
  if (row.status !== "running") return <NeedsRunning what="Its files" />;
  return <Browser sandbox={row.name} />;
}

interface Viewed {
  readonly file: FileRow;
  readonly preview: FilePreview;
}

function Browser({ sandbox }: { readonly sandbox: string }): VNode {
  const [path, setPath] = useState(encode("/"));
  const [viewed, setViewed] = useState<Viewed | null>(null);
  const [isSending, setSending] = useState(false);
  const listing = useCall("files.list", { name: sandbox, path });
  const input = useRef<HTMLInputElement>(null);
  const here = decode(path);
  const open = async (file: FileRow): Promise<void> => {
    if (file.kind === "directory") {
      setViewed(null);
      setPath(file.path);
      return;
    }
    try {
      const preview = await call("files.view", { name: sandbox, path: file.path });
      setViewed(preview.isDirectory ? null : { file, preview });
      if (preview.isDirectory) setPath(file.path);
    } catch (error) {
      complain(error);
    }
  };
  const upload = async (files: readonly File[]): Promise<void> => {
    setSending(true);
    try {
      for (const file of files) await sendFile(sandbox, below(path, file.name), file);
      tell(
        files.length === 1
          ? `${files[0]?.name ?? ""} was uploaded`
          : `${String(files.length)} files were uploaded`,
      );
      listing.again();
    } catch (error) {
      complain(error);
    } finally {
      setSending(false);
      if (input.current !== null) input.current.value = "";
    }
  };
  return (
    <section aria-label="Files">
      <form
        class="row"
        onSubmit={(event) => {
          event.preventDefault();
          const given = formText(new FormData(event.currentTarget), "path");
          setViewed(null);
          setPath(encode(given.startsWith("/") ? given : `/${given}`));
        }}
      >
        <input
          key={path}
          name="path"
          class="path"
          aria-label="Directory"
          defaultValue={here}
          spellcheck={false}
        />
        <button type="submit">Go</button>
        <button type="button" disabled={here === "/"} onClick={() => setPath(parent(path))}>
          Up
        </button>
        <label class={isSending ? "button disabled" : "button"}>
          {isSending ? "Uploading…" : "Upload"}
          <input
            ref={input}
            class="unseen"
            type="file"
            multiple
            disabled={isSending}
            onChange={(event) => void upload([...(event.currentTarget.files ?? [])])}
          />
        </label>
      </form>
      {listing.value === null || listing.failure !== null ? (
        <Waiting of={listing} />
      ) : (
        <table class="cards files">
          <caption class="unseen">What is in {plain(listing.value.path)}</caption>
          <thead>
            <tr>
              <th scope="col">Name</th>
              <th scope="col">Size</th>
              <th scope="col">Mode</th>
              <th scope="col">Changed</th>
              <th scope="col">
                <span class="unseen">Actions</span>
              </th>
            </tr>
          </thead>
          <tbody>
            {listing.value.entries.map((file) => (
              <tr key={file.path}>
                <th scope="row" data-label="Name">
                  {file.kind === "other" ? (
                    plain(file.name)
                  ) : (
                    <button type="button" class={`link ${file.kind}`} onClick={() => void open(file)}>
                      {plain(file.name)}
                      {file.kind === "directory" ? "/" : ""}
                    </button>
                  )}
                  {file.target !== null && <span class="under">→ {plain(file.target)}</span>}
                </th>
                <td data-label="Size" class="number">
                  {file.kind === "file" ? bytes(file.size) : ""}
                </td>
                <td data-label="Mode">
                  <code>{file.mode}</code>
                </td>
                <td data-label="Changed">{date(file.modified)}</td>
                <td class="actions" data-label="Actions">
                  {file.kind !== "directory" && file.kind !== "other" && (
                    <button
                      type="button"
                      aria-label={`Download ${plain(file.name)}`}
                      onClick={() => void download(sandbox, file)}
                    >
                      Download
                    </button>
                  )}
                </td>
              </tr>
            ))}
          </tbody>
        </table>
      )}
      {listing.value?.entries.length === 0 && <p class="empty">This directory is empty.</p>}
      {listing.value !== null && listing.value.more > 0 && (
        <p class="muted">And {String(listing.value.more)} more.</p>
      )}
      {viewed !== null && <View {...viewed} sandbox={sandbox} onClose={() => setViewed(null)} />}
    </section>
  );
}

interface ViewProps extends Viewed {
  readonly sandbox: string;
  readonly onClose: () => void;
}

function View({ file, preview, sandbox, onClose }: ViewProps): VNode {
  return (
    <section class="preview" aria-label={`Contents of ${plain(file.name)}`}>
      <div class="head">
        <h2>{plain(file.name)}</h2>
        <span class="muted">{bytes(preview.size)}</span>
        <div class="buttons">
          <button type="button" onClick={() => void download(sandbox, file)}>
            Download
          </button>
          <button type="button" onClick={onClose}>
            Close
          </button>
        </div>
      </div>
      {preview.text === null ? (
        <p class="muted">These are no characters.</p>
      ) : (
        <pre tabIndex={0}>{preview.text}</pre>
      )}
      {preview.cut && <p class="muted">This is the beginning: download it to see all.</p>}
    </section>
  );
}

async function download(sandbox: string, file: FileRow): Promise<void> {
  try {
    const address = URL.createObjectURL(await fetchFile(sandbox, file.path));
    const link = document.createElement("a");
    link.href = address;
    link.download = plain(file.name);
    link.click();
    setTimeout(() => URL.revokeObjectURL(address), 60_000);
  } catch (error) {
    complain(error);
  }
}

// Paths go as their bytes, in base64url: a name need not be UTF-8.

function encode(path: string): string {
  return fromBytes(new TextEncoder().encode(path));
}

function decode(path: string): string {
  return new TextDecoder().decode(toBytes(path));
}

function below(directory: string, name: string): string {
  const bytes = toBytes(directory);
  const separator = bytes.at(-1) === 0x2f ? "" : "/";
  return fromBytes(Uint8Array.of(...bytes, ...new TextEncoder().encode(separator + name)));
}

function parent(path: string): string {
  const bytes = toBytes(path);
  const end = bytes.at(-1) === 0x2f ? bytes.length - 1 : bytes.length;
  return fromBytes(bytes.slice(0, Math.max(1, bytes.lastIndexOf(0x2f, end - 1))));
}

function toBytes(path: string): Uint8Array<ArrayBuffer> {
  return Uint8Array.from(atob(path.replaceAll("-", "+").replaceAll("_", "/")), (c) => c.charCodeAt(0));
}

function fromBytes(bytes: Uint8Array): string {
  const text = btoa(Array.from(bytes, (byte) => String.fromCharCode(byte)).join(""));
  return text.replaceAll("+", "-").replaceAll("/", "_").replaceAll("=", "");
}
