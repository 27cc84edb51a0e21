import { randomBytes } from 'node:crypto';
import { ID_FORM } from '../auth/schema.ts';
import { loadConfig } from '../config/load.ts';
import { formatProblem } from '../config/problem.ts';
import type { RuntimeConfig } from '../config/runtime.ts';
import { type Clock, systemClock } from '../core/clock.ts';
import { dayOf } from '../quota/ledger.ts';
import { openServers, type Server, ServerError, type Servers } from '../state/admin.ts';
import type { RedisSettings } from '../state/settings.ts';
import { isGone, readStored } from '../tenants/document.ts';
import { saveUsers, unfit } from './tenant-acl.ts';
import { NotProvisioned, type Provisioned, provision } from './tenant-provision.ts';
import { type TenantUser, tenantUser, usageKeys } from './tenant-user.ts';
import type { ExitStatus, Terminal } from './terminal.ts';

export interface TenantCommand {
  action: 'provision' | 'delete';
  id: string;
  file: string;
  rotate: boolean;
}

/** 256 bits. */
const PASSWORD_BYTES = 32;
/** What ends a command before its time. */
const SIGNALS = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const;

/** A tenant's own view of its usage: a user of Redis that can read it, and nothing else. */
export async function tenant(command: TenantCommand, terminal: Terminal): Promise<ExitStatus> {
  const { action, id, file, rotate } = command;
  const failed = (text: string): ExitStatus => {
    terminal.err(`spillway: ${text}\n`);
    return 1;
  };
  if (!ID_FORM.test(id)) {
    terminal.err(
      `spillway: a tenant's id is 1 to 64 of the characters a-z 0-9 _ -, which this is not: ${id}\n`,
    );
    return 2;
  }
  const loaded = loadConfig(file, { readSecrets: true, env: terminal.env });
  if (!loaded.ok) {
    for (const problem of loaded.problems) terminal.err(`${formatProblem(problem)}\n`);
    return 1;
  }
  const { config } = loaded;
  const { redis } = config.state;
  if (redis === null) {
    return failed(
      `${file} has no \`state.redis\`: usage is counted in the gateway's own memory, where nobody can look it up`,
    );
  }

  let servers: Servers;
  try {
    servers = await openServers(redis, systemClock);
  } catch (error) {
    return failed((error as Error).message);
  }
  const { reached } = servers;
  const user = tenantUser(id, config.state.keyPrefix, redis, reached[0]?.access.database ?? 0);
  try {
    if (action === 'delete') return await remove(user, servers, { terminal, failed });
    if (!(await isKnown(user, config, reached))) {
      terminal.err(
        `warning: neither ${file} nor the tenants in Redis have one called ${id}; the user will see what is counted under this name\n`,
      );
    }
    return await make(user, servers, { redis, rotate, terminal, failed, clock: systemClock });
  } catch (error) {
    if (!(error instanceof ServerError)) throw error;
    return failed(`${error.message}${advice(error)}`);
  } finally {
    for (const server of reached) server.close();
  }
}

interface Saying {
  terminal: Terminal;
  failed(text: string): ExitStatus;
}

async function make(
  user: TenantUser,
  { reached, missed }: Servers,
  {
    redis,
    rotate,
    terminal,
    failed,
    clock,
  }: Saying & { redis: RedisSettings; rotate: boolean; clock: Clock },
): Promise<ExitStatus> {
  if (missed.length > 0) {
    const rest =
      redis.kind === 'single'
        ? ''
        : '\nNothing was changed. Every server has to have the user, or the tenant would be shut out as soon as another one takes over. One that is gone for good has to be forgotten by the others (CLUSTER FORGET, SENTINEL RESET).';
    return failed(`${missed.map(({ message }) => message).join('\n')}${rest}`);
  }
  for (const server of reached) {
    const why = await unfit(server, user.clustered);
    if (why !== null) return failed(why);
  }
  const day = dayOf(clock.wall());
  const password = randomBytes(PASSWORD_BYTES).toString('base64url');
  const interrupted = new AbortController();
  const interrupt = () => interrupted.abort();
  for (const signal of SIGNALS) process.on(signal, interrupt);
  try {
    const { signal } = interrupted;
    const made = await provision({ user, servers: reached, password, rotate, day, interrupted: signal });
    terminal.out(report(user, password, day, made, reached));
    for (const name of made.open) {
      terminal.err(
        `warning: ${name} lets everybody in without a password, as the user \`default\`: what this user may not see, anybody can see so. Give \`default\` a password, or turn it off\n`,
      );
    }
    return 0;
  } catch (error) {
    if (!(error instanceof NotProvisioned)) throw error;
    return failed(`${error.message}${advice(error.cause)}\n${whatIsLeft(error, user, rotate)}`);
  } finally {
    for (const signal of SIGNALS) process.off(signal, interrupt);
  }
}

async function remove(
  { name, tenant: id }: TenantUser,
  { reached, missed }: Servers,
  { terminal, failed }: Saying,
): Promise<ExitStatus> {
  const results = await Promise.allSettled(
    reached.map(async (server) => {
      // Ends its connections, too.
      const found = Number(await server.call('ACL', 'DELUSER', name)) > 0;
      return { server, found, saved: found && (await saveUsers(server)) };
    }),
  );
  const done = results.flatMap((one) => (one.status === 'fulfilled' && one.value.found ? [one.value] : []));
  const errors = [
    ...missed,
    ...results.flatMap((one) => (one.status === 'rejected' ? [one.reason as Error] : [])),
  ];
  if (done.length > 0) {
    terminal.out(
      `Removed the user ${name} from ${listed(done.map(({ server }) => server))}; its connections are closed.\n`,
    );
    const forgetful = done.filter(({ saved }) => !saved).map(({ server }) => server);
    if (forgetful.length > 0) {
      terminal.out(
        `Without an ACL file (\`aclfile\`) on ${listed(forgetful)}: if a line for it was put into redis.conf, take it out there as well, or it is back after a restart.\n`,
      );
    }
  }
  if (errors.length > 0) {
    const reasons = errors.map((error) => `${error.message}${advice(error)}`).join('\n');
    return failed(
      `${reasons}\nThere the user may still be: do this again (npx spillway tenant delete ${id}) when that is mended.`,
    );
  }
  return done.length > 0 ? 0 : failed(`there is no user ${name}`);
}

/** In the file, or made through the admin API. */
async function isKnown(
  { tenant: id, keyPrefix }: TenantUser,
  config: RuntimeConfig,
  servers: readonly Server[],
): Promise<boolean> {
  if (config.tenants.some((one) => one.id === id)) return true;
  if (config.auth === 'none' && id === 'anonymous') return true;
  for (const server of servers) {
    // Who does not have that key, or may not tell, says so.
    const json = await server.call('HGET', `${keyPrefix}:{!}:tenants`, id).catch(() => null);
    const stored = typeof json === 'string' ? readStored(json) : null;
    if (stored !== null && !isGone(stored)) return true;
  }
  return false;
}

function report(
  user: TenantUser,
  password: string,
  day: string,
  { line, forgetful }: Provisioned,
  servers: readonly Server[],
): string {
  const kept =
    forgetful.length === 0
      ? 'It is kept in the ACL file of the server, and is there after a restart.'
      : `Without an ACL file (\`aclfile\`), a restart of ${forgetful.join(', ')} forgets it. To keep it, put this line into redis.conf there:

  ${line}`;
  return `The user for tenant ${user.tenant}; the password is shown this once:

  user      ${user.name}
  password  ${password}

It reads ${usageKeys(user, 'DAY')} and nothing else, as was tried on ${listed(servers)}. For today, asking for the password:

  ${redisCli(user, day, servers[0])}

${kept}
`;
}

/** For a shell. The password is no argument: others on the machine see those. */
function redisCli(user: TenantUser, day: string, server: Server | undefined): string {
  const { host = '', port = 0 } = server?.place ?? {};
  const words = [
    'redis-cli',
    ...(user.clustered ? ['-c'] : []),
    ...(server?.access.tls ? ['--tls'] : []),
    `-h ${host} -p ${port}`,
    ...(user.database === 0 ? [] : [`-n ${user.database}`]),
    `--user ${user.name} --askpass`,
    `HGETALL '${usageKeys(user, day)}'`,
  ];
  return words.join(' ');
}

function whatIsLeft(
  { left, changed }: NotProvisioned,
  { tenant: id, name }: TenantUser,
  rotate: boolean,
): string {
  if (!changed) return 'Nothing was changed.';
  const again = rotate ? `provision ${id} --rotate` : `delete ${id}`;
  if (left.length > 0) {
    return `It could not be undone everywhere:\n${left.join('\n')}\nWhen that is mended: npx spillway tenant ${again}`;
  }
  return rotate
    ? `All was put back: ${name} has its old password.`
    : `All was undone: there is no user ${name}.`;
}

/** For an operator whose own user may not do this. */
function advice(error: unknown): string {
  if (!(error instanceof ServerError) || error.code !== 'NOPERM') return '';
  return `
The user that \`state.redis\` names may not do that. It takes one with +acl, +hello and +client|kill (and +cluster|shards in a cluster), which the gateway itself does not need. Where the file has \${REDIS_URL}: REDIS_URL=redis://ADMIN:PASSWORD@HOST npx spillway tenant ...`;
}

function listed(servers: readonly Server[]): string {
  return servers.map(({ name }) => name).join(', ');
}
