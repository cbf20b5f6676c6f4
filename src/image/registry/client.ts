import { HttpError, ImageError } from "../../errors/index.ts";
import { digestOf, verifyBytes } from "../digest.ts";
import { manifestMediaTypes, maximumManifestBytes, type Descriptor } from "../manifest.ts";
import type { ImageReference } from "../reference.ts";
import type { FoundManifest, ManifestSource } from "../resolve.ts";
import { readBody } from "./body.ts";
import { displayUrl } from "./connection-error.ts";
import type { HttpResponse } from "./http.ts";
import { readReason, withReason } from "./reason.ts";
import { StatusError } from "./retry.ts";
import type { RegistrySession } from "./session.ts";

/** The pull half of the OCI distribution specification, for one repository. */
export class RepositoryClient implements ManifestSource {
  readonly session: RegistrySession;
  readonly #reference: ImageReference;
  readonly #signal: AbortSignal | undefined;

  constructor(session: RegistrySession, reference: ImageReference, signal: AbortSignal | undefined) {
    this.session = session;
    this.#reference = reference;
    this.#signal = signal;
  }

  get repository(): string {
    return this.#reference.path;
  }

  /**
   * The digest that the reference means now, without fetching what it names; null when the registry does not say.
   *
   * @throws ImageError, HttpError
   */
  async headDigest(): Promise<string | null> {
    try {
      return await this.#ask("HEAD", this.#wanted, (response) => {
        response.body.destroy();
        // Some registries know no HEAD; GET will tell.
        return response.status === 200 ? (response.header("docker-content-digest") ?? null) : null;
      });
    } catch (error) {
      // An answer without a body does not say why.
      if (error instanceof ImageError) return null;
      throw error;
    }
  }

  /** The manifest or index that the reference means. @throws ImageError, HttpError */
  async fetchRoot(): Promise<FoundManifest> {
    const { canonical, digest } = this.#reference;
    const { bytes, mediaType } = await this.#ask("GET", this.#wanted, async (response) => ({
      bytes: await this.#readManifest(response, canonical),
      mediaType: response.header("content-type") ?? null,
    }));
    if (digest !== null) verifyBytes(bytes, digest, `the manifest of ${canonical}`);
    return { digest: digest ?? digestOf(bytes), mediaType, bytes };
  }

  /** An entry of an index, its size and digest checked. @throws ImageError, HttpError */
  async fetchManifest(descriptor: Descriptor): Promise<Uint8Array> {
    const what = `manifest ${descriptor.digest} of ${this.#reference.canonical}`;
    const bytes = await this.#ask("GET", descriptor.digest, (response) => this.#readManifest(response, what));
    if (bytes.length !== descriptor.size) {
      throw new ImageError(`${what} is ${bytes.length} bytes long, not ${descriptor.size} as its index says`);
    }
    verifyBytes(bytes, descriptor.digest, what);
    return bytes;
  }

  get #wanted(): string {
    return this.#reference.digest ?? this.#reference.tag ?? "latest";
  }

  #ask<T>(
    method: "GET" | "HEAD",
    tagOrDigest: string,
    use: (response: HttpResponse) => Promise<T> | T,
  ): Promise<T> {
    const request = {
      method,
      path: `${this.repository}/manifests/${tagOrDigest}`,
      repository: this.repository,
      headers: { accept: manifestMediaTypes.join(", ") },
      signal: this.#signal,
    };
    return this.session.send(request, use);
  }

  async #readManifest(response: HttpResponse, what: string): Promise<Buffer> {
    if (response.status !== 200) {
      throw await this.#statusError(response, what);
    }
    if (Number(response.header("content-length") ?? 0) > maximumManifestBytes) {
      response.body.destroy();
      throw new ImageError(`${what} is longer than ${maximumManifestBytes >> 20} MiB`);
    }
    try {
      return await readBody(response, maximumManifestBytes);
    } catch (error) {
      if (error instanceof HttpError && error.cause === undefined) {
        throw new ImageError(`${what} is longer than ${maximumManifestBytes >> 20} MiB`, { cause: error });
      }
      throw error;
    }
  }

  async #statusError(response: HttpResponse, what: string): Promise<ImageError | HttpError> {
    const { status } = response;
    if (status === 403) return await this.session.refused(this.repository, response);
    if (status !== 404) return await statusError(response);
    return new ImageError(withReason(`there is no image ${what}`, await readReason(response)), {
      hint: "Check the name and the tag; a private image may look missing until you log in.",
    });
  }
}

/** For an answer that nothing can be done about here. */
export async function statusError(response: HttpResponse): Promise<HttpError> {
  const { url, status } = response;
  const hint =
    status === 429
      ? "The registry limits how much may be pulled: wait, or log in."
      : status >= 500
        ? "The registry has a problem: try again later."
        : undefined;
  const message = withReason(`${displayUrl(url)} answered ${status}`, await readReason(response));
  return new StatusError(status, message, { hint });
}
