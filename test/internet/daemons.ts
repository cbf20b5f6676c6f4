import { places, ports } from "./places.ts";
import type { Tree } from "./tree-programs.ts";

/** Programs of Debian that serve at every address. */
export const daemons = {
  async ssh(tree: Tree): Promise<void> {
    await tree.shell(`
      mkdir -p /run/sshd /root/.ssh
      rm -f /etc/ssh/ssh_host_*
      ssh-keygen -q -t ed25519 -N '' -f /etc/ssh/ssh_host_ed25519_key
      ssh-keygen -q -t ed25519 -N '' -f /srv/key
      cat /srv/key.pub > /root/.ssh/authorized_keys
      chmod 700 /root/.ssh`);
    const settings = [
      "UsePAM no",
      "PermitRootLogin yes",
      "HostKey /etc/ssh/ssh_host_ed25519_key",
      "Subsystem sftp internal-sftp",
    ];
    await tree.shell(`printf '${settings.join("\\n")}\\n' > /etc/ssh/sshd_config`);
    await tree.daemon(["/usr/sbin/sshd", "-D", "-e", "-p", String(ports.ssh)], /^Server listening on ::/);
  },
  async redis(tree: Tree): Promise<void> {
    const options = [
      "--port",
      String(ports.redis),
      "--bind",
      "*",
      "-::*",
      "--protected-mode",
      "no",
      "--save",
      "",
    ];
    await tree.daemon(["redis-server", ...options, "--dir", "/tmp"], /eady to accept connections/);
  },
  async iperf(tree: Tree): Promise<void> {
    // By UDP it answers from the address that it is bound to, so it has to be the one that was asked.
    for (const address of [places.host4, places.host6]) {
      const options = ["-s", "-B", address, "-p", String(ports.iperf), "--forceflush"];
      await tree.daemon(["iperf3", ...options], /^Server listening on/);
    }
  },
  async postgres(tree: Tree): Promise<void> {
    const bin = "/usr/lib/postgresql/15/bin";
    await tree.shell(`
      mkdir -p /run/postgresql /srv/postgres
      chown postgres:postgres /run/postgresql /srv/postgres
      setpriv --reuid=postgres --regid=postgres --clear-groups ${bin}/initdb -A trust -N -D /srv/postgres
      printf 'host all all 0.0.0.0/0 trust\\nhost all all ::/0 trust\\n' >> /srv/postgres/pg_hba.conf`);
    const options = [
      "-D",
      "/srv/postgres",
      "-p",
      String(ports.postgres),
      "-c",
      "listen_addresses=*",
      "-c",
      "fsync=off",
    ];
    await tree.daemon([`${bin}/postgres`, ...options], /database system is ready/, {
      user: "postgres:postgres",
    });
  },
} as const;

export type Daemon = keyof typeof daemons;
