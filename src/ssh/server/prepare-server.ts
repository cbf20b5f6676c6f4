import type { SshGuest } from "../guest.ts";
import { authorizedKeysPath, readAuthorizedKeys } from "../keys/authorized-keys.ts";
import { hostKeyPath, readHostKey } from "../keys/host-key.ts";
import { loadLibrary } from "../load-library.ts";
import { SshServer } from "./ssh-server.ts";

export interface ServerSettings {
  readonly guest: SshGuest;
  /** The directories of microsandbox and of the sandbox. */
  readonly home: string;
  readonly directory: string;
  /** null: the sandbox's. */
  readonly hostKeyPath: string | null;
  /** null: the home's. */
  readonly authorizedKeysPath: string | null;
  readonly user: string | null;
  readonly sftp: boolean;
  readonly inactivityMs: number;
}

/** A server that has its host key and knows where those of its clients are. @throws IoError */
export async function prepareServer(settings: ServerSettings): Promise<SshServer> {
  const { guest, sftp, inactivityMs, user } = settings;
  const authorized = settings.authorizedKeysPath ?? authorizedKeysPath(settings.home);
  const [library, hostKey] = await Promise.all([
    loadLibrary(),
    readHostKey(settings.hostKeyPath ?? hostKeyPath(settings.directory)),
    // A file that nobody may rely on is told at once, not to a client that is refused.
    readAuthorizedKeys(authorized),
  ]);
  return new SshServer({
    ...{ guest, library, sftp, inactivityMs },
    hostKey: hostKey.text,
    admission: { user, keys: () => readAuthorizedKeys(authorized) },
  });
}
