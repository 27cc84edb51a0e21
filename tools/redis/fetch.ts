/**
 * Fetches Debian's own redis-server into node_modules/.cache: for that nobody has to be root, nothing is installed, and no service
 * is started. apt does it, with folders of ours in place of its own, so it uses the machine's mirrors, proxies and keys.
 */
import { execFile } from 'node:child_process';
import { chmodSync, existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';

const run = promisify(execFile);
const FOLDER = fileURLToPath(new URL('../../node_modules/.cache/redis', import.meta.url));

const ADVICE =
  'Install Redis 7 or newer (apt-get install redis-server, dnf install redis, apk add redis, brew install redis), ' +
  'or name a redis-server in the environment variable REDIS_SERVER.';

/** Where it is once it was fetched. */
export function fetched(): string {
  return join(FOLDER, 'redis-server');
}

/** Resolves to its path. Test files run at the same time: one fetches, the others wait for it. */
export async function fetchRedis(runs: (path: string) => boolean): Promise<string> {
  const release = await lock();
  try {
    if (runs(fetched())) return fetched();
    if (!existsSync('/usr/bin/apt-get')) throw new Error(`there is no redis-server. ${ADVICE}`);
    process.stderr.write(`there is no redis-server: fetching Debian's into ${FOLDER}\n`);
    await fetchWithApt();
    return fetched();
  } finally {
    release();
  }
}

async function fetchWithApt(): Promise<void> {
  const [state, cache, root] = ['state', 'cache', 'root'].map((name) => join(FOLDER, name)) as [
    string,
    string,
    string,
  ];
  for (const folder of [join(state, 'lists/partial'), join(cache, 'archives/partial'), root]) {
    mkdirSync(folder, { recursive: true });
  }
  const options = {
    'Dir::State': state,
    'Dir::State::status': '/var/lib/dpkg/status',
    'Dir::Cache': cache,
    'Debug::NoLocking': '1',
    // As root it would download as a user who may not enter our folder.
    'APT::Sandbox::User': 'root',
  };
  const settings = Object.entries(options).flatMap(([name, value]) => ['-o', `${name}=${value}`]);
  const apt = (...args: string[]) => run('apt-get', ['-qq', ...settings, ...args], { maxBuffer: 1e8 });
  try {
    await apt('update');
    // With the libraries that it needs and this machine lacks. The program itself is in redis-tools, and may be there already.
    const how = ['--download-only', '--reinstall', '--yes', '--no-install-recommends'];
    await apt('install', ...how, 'redis-server', 'redis-tools');
    const archives = join(cache, 'archives');
    for (const name of readdirSync(archives).filter((one) => one.endsWith('.deb'))) {
      await run('dpkg-deb', ['--extract', join(archives, name), root]);
    }
  } catch (error) {
    const { stderr = '', message } = error as Error & { stderr?: string };
    throw new Error(`there is no redis-server, and apt could not fetch one: ${stderr || message}\n${ADVICE}`);
  }
  for (const folder of [state, cache]) rmSync(folder, { recursive: true, force: true });
  const libraries = ['usr/lib', 'lib'].flatMap((folder) => librariesIn(join(root, folder)));
  writeFileSync(
    fetched(),
    `#!/bin/sh\nLD_LIBRARY_PATH='${libraries.join(':')}' exec '${join(root, 'usr/bin/redis-server')}' "$@"\n`,
  );
  chmodSync(fetched(), 0o755);
  await run(fetched(), ['--version']);
}

/** `usr/lib/x86_64-linux-gnu` and the like. */
function librariesIn(folder: string): string[] {
  if (!existsSync(folder)) return [];
  return readdirSync(folder)
    .filter((name) => name.includes('-linux-'))
    .map((name) => join(folder, name));
}

/** Resolves when no other process is at it, to how to let the next one. */
async function lock(): Promise<() => void> {
  mkdirSync(FOLDER, { recursive: true });
  const file = join(FOLDER, 'lock');
  for (;;) {
    try {
      writeFileSync(file, `${process.pid}`, { flag: 'wx' });
      return () => rmSync(file, { force: true });
    } catch {
      if (!isHeld(file)) rmSync(file, { force: true });
      else await new Promise((resolve) => setTimeout(resolve, 100));
    }
  }
}

/** One whose process has ended is nobody's. */
function isHeld(file: string): boolean {
  try {
    const pid = Number(readFileSync(file, 'utf8'));
    // It is written right after it was made.
    if (pid === 0) return true;
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM';
  }
}
