/** A real redis-server for a test: on a free port of 127.0.0.1, in a temporary folder, without persistence, gone with the test. */
import { type ChildProcess, spawn } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { type RedisOptions as AllClientOptions, Redis } from 'ioredis';
import { findRedis } from '../../tools/redis/find.ts';
import { AUTHORITY } from './certificates.ts';
import { endsWithUs, goesWithUs } from './leftovers.ts';

/** A test's context; or `{ after }` of node:test, at the top of the file (not in a hook), for one that lasts as long as the file. */
export interface CleansUp {
  after(cleanUp: () => Promise<void>): void;
}

export interface RedisOptions {
  /** Directives as they stand in redis.conf, such as `{ maxmemory: '1mb' }`; a list for one that is given several times. */
  config?: Readonly<Record<string, string | readonly string[]>>;
  /** Rules of ACL users: `{ ann: 'on >secret ~* &* +@all' }`; `default` replaces those of the default user. */
  users?: Readonly<Record<string, string>>;
  /** Listens with TLS alone, with the certificate of `certificates.ts`. */
  tls?: boolean;
  /** Runs as a sentinel. */
  sentinel?: boolean;
}

/** Without the one whose type the constructor does not take as it stands. */
type ClientOptions = Omit<AllClientOptions, 'replyMapping'>;

/** What a test's own connections do: they fail at once instead of waiting for a server that is away. */
const CLIENT = {
  protocol: 2,
  disableClientInfo: true,
  maxRetriesPerRequest: 0,
  retryStrategy: () => 20,
} as const satisfies ClientOptions;

/** A server takes some 20 ms to start; more than this and it does not come. Milliseconds. */
const START = 10_000;

const CERTIFICATES = fileURLToPath(new URL('certificates', import.meta.url));

/** Starts a server, and ends it with the test. */
export async function startRedis(t: CleansUp, options: RedisOptions = {}): Promise<RedisServer> {
  const server = new RedisServer(options, await freePort());
  t.after(() => server.dispose());
  await server.start();
  return server;
}

export class RedisServer {
  readonly host = '127.0.0.1';
  /** The same for as long as this object lives, however often the server is stopped and started. */
  port: number;
  readonly #options: RedisOptions;
  readonly #folder: string;
  #child: ChildProcess | null = null;
  #client: Redis | null = null;
  readonly #clients = new Set<Redis>();

  constructor(options: RedisOptions, port: number) {
    this.#options = options;
    this.port = port;
    this.#folder = mkdtempSync(join(tmpdir(), 'spillway-redis-'));
    goesWithUs(this.#folder);
  }

  /** `redis://` or `rediss://`, without credentials. */
  get url(): string {
    return `${this.#options.tls === true ? 'rediss' : 'redis'}://${this.host}:${this.port}`;
  }

  urlFor(user: string, password: string, database = 0): string {
    const scheme = this.#options.tls === true ? 'rediss' : 'redis';
    return `${scheme}://${encodeURIComponent(user)}:${encodeURIComponent(password)}@${this.host}:${this.port}/${database}`;
  }

  /** A connection of the test's own, as the default user unless said; closed with the server. */
  connect(options: ClientOptions = {}): Redis {
    const tls = this.#options.tls === true ? { tls: { ca: AUTHORITY } } : {};
    const client = new Redis({ host: this.host, port: this.port, ...CLIENT, ...tls, ...options });
    client.on('error', () => {});
    this.#clients.add(client);
    return client;
  }

  /** The connection that the test looks at the data with. */
  get client(): Redis {
    this.#client ??= this.connect();
    return this.#client;
  }

  async call(command: string, ...args: (string | number)[]): Promise<unknown> {
    return await this.client.call(command, ...args);
  }

  get running(): boolean {
    return this.#child !== null;
  }

  /** Starts it where it was before: empty, unless it was told to keep its data (`appendonly`). */
  async start(): Promise<void> {
    if (this.#child !== null) throw new Error('it is running');
    // The port was free when it was chosen; should somebody have taken it since, the first start looks for another.
    for (let tries = 0; ; tries++) {
      const said = await this.#spawn();
      if (said === null) return;
      if (tries === 5 || !/in use/.test(said)) throw new Error(`redis-server did not start:\n${said}`);
      this.port = await freePort();
    }
  }

  /** Ends it as an operator does. Its connections are closed in order. */
  async stop(): Promise<void> {
    await this.#end('SIGTERM');
  }

  /** Ends it as a crash does. */
  async kill(): Promise<void> {
    await this.#end('SIGKILL');
  }

  /** Stopped and started: a server without data, whatever it was told to keep. */
  async restartEmpty(): Promise<void> {
    await this.kill();
    for (const name of ['appendonlydir', 'appendonly.aof', 'dump.rdb']) {
      rmSync(join(this.#folder, name), { recursive: true, force: true });
    }
    await this.start();
  }

  /** It stops in its tracks: connections stay, nothing is answered. */
  freeze(): void {
    this.#child?.kill('SIGSTOP');
  }

  /** And goes on, beginning with what was sent to it meanwhile. */
  thaw(): void {
    this.#child?.kill('SIGCONT');
  }

  async dispose(): Promise<void> {
    for (const client of this.#clients) client.disconnect();
    await this.kill();
    rmSync(this.#folder, { recursive: true, force: true });
  }

  async #end(signal: NodeJS.Signals): Promise<void> {
    const child = this.#child;
    if (child === null) return;
    this.#child = null;
    const ended = new Promise((resolve) => child.once('exit', resolve));
    // Whoever is frozen hears nothing but SIGKILL.
    child.kill('SIGCONT');
    child.kill(signal);
    await ended;
  }

  /** Resolves when it listens: to null, or to what it said where it ended instead. */
  async #spawn(): Promise<string | null> {
    const file = join(this.#folder, 'redis.conf');
    writeFileSync(file, this.#directives().join('\n'));
    const child = spawn(
      await findRedis(),
      [file, ...(this.#options.sentinel === true ? ['--sentinel'] : [])],
      {
        cwd: this.#folder,
        stdio: ['ignore', 'pipe', 'pipe'],
      },
    );
    endsWithUs(child);
    let said = '';
    const listens = new Promise<boolean>((resolve) => {
      const hear = (text: string) => {
        said = `${said}${text}`.slice(-4000);
        if (/Ready to accept connections|Running mode=sentinel/.test(said)) resolve(true);
      };
      child.stdout.setEncoding('utf8').on('data', hear);
      child.stderr.setEncoding('utf8').on('data', hear);
      child.once('error', (error) => {
        said += String(error);
        resolve(false);
      });
      child.once('close', () => resolve(false));
      setTimeout(() => resolve(false), START).unref();
    });
    if (!(await listens)) {
      child.kill('SIGKILL');
      return said === '' ? `nothing within ${START} ms` : said;
    }
    this.#child = child;
    child.once('exit', () => {
      if (this.#child === child) this.#child = null;
    });
    return null;
  }
  #directives(): string[] {
    const { config = {}, users = {}, tls = false } = this.#options;
    const usual: Record<string, string> = {
      bind: this.host,
      dir: this.#folder,
      save: '""',
      appendonly: 'no',
    };
    const where: Record<string, string> = tls
      ? {
          port: '0',
          'tls-port': `${this.port}`,
          'tls-cert-file': join(CERTIFICATES, 'server.pem'),
          'tls-key-file': join(CERTIFICATES, 'server-key.pem'),
          'tls-ca-cert-file': join(CERTIFICATES, 'authority.pem'),
          'tls-auth-clients': 'no',
        }
      : { port: `${this.port}` };
    return [
      ...Object.entries({ ...usual, ...where, ...config }).flatMap(([name, value]) =>
        [value].flat().map((one) => `${name} ${one}`),
      ),
      ...Object.entries(users).map(([name, rules]) => `user ${name} ${rules}`),
    ];
  }
}

/** Below those that the system gives to connections on their way out: while a server is down, nobody else gets its port. */
const PORTS = { from: 12_000, to: 22_000 };

/** A port that is free, as is the one 10000 above, where the nodes of a cluster talk. */
export async function freePort(): Promise<number> {
  for (;;) {
    const port = PORTS.from + Math.floor(Math.random() * (PORTS.to - PORTS.from));
    if ((await isFree(port)) && (await isFree(port + 10_000))) return port;
  }
}

/** Looks again and again until there is something; real servers take their real time. */
export async function until<T>(
  look: () => T | Promise<T>,
  what: string,
  within = 20_000,
): Promise<NonNullable<T>> {
  const end = performance.now() + within;
  for (;;) {
    const found = await look();
    if (found !== null && found !== undefined && found !== false) return found as NonNullable<T>;
    if (performance.now() > end) throw new Error(`waited ${within} ms for ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
}

function isFree(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const probe = createServer();
    probe.once('error', () => resolve(false));
    probe.listen(port, '127.0.0.1', () => probe.close(() => resolve(true)));
  });
}
