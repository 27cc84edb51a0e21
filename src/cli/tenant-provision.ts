import { createHash } from 'node:crypto';
import type { Server } from '../state/admin.ts';
import { rulesByUser, saveUsers, type Users } from './tenant-acl.ts';
import { prove } from './tenant-proof.ts';
import { rulesOf, type TenantUser, YOUNGER } from './tenant-user.ts';

export interface Provisioning {
  user: TenantUser;
  /** All that are to have it: every one, or none. */
  servers: readonly Server[];
  password: string;
  /** Gives a user that is there another password. */
  rotate: boolean;
  /** Today. */
  day: string;
  interrupted: AbortSignal;
}

export interface Provisioned {
  /** `user …`, as it stands in a file: without the password, but with its hash. */
  line: string;
  /** Those that will have forgotten the user when they are restarted. */
  forgetful: readonly string[];
  /** Those that let everybody in, without a password. */
  open: readonly string[];
}

/** It was not done. */
export class NotProvisioned extends Error {
  /** Was anything begun? */
  readonly changed: boolean;
  /** Where that could not be undone, and why: for people. */
  readonly left: readonly string[];

  constructor(why: unknown, left: readonly string[] | null = null) {
    super(why instanceof Error ? why.message : String(why), why instanceof Error ? { cause: why } : {});
    this.name = 'NotProvisioned';
    this.changed = left !== null;
    this.left = left ?? [];
  }
}

/** Makes the user on every server, tries it out on each, and puts everything back unless all went well. Rejects with NotProvisioned. */
export async function provision(provisioning: Provisioning): Promise<Provisioned> {
  const { user, servers, rotate, interrupted } = provisioning;
  let users: Users[];
  try {
    users = await unless(interrupted, Promise.all(servers.map(rulesByUser)));
  } catch (error) {
    throw new NotProvisioned(error);
  }
  const there = servers.filter((_, i) => users[i]?.has(user.name)).map(({ name }) => name);
  if (there.length > 0 && !rotate) {
    const advice = '--rotate gives it another password and ends its connections';
    throw new NotProvisioned(`there is a user ${user.name} already (on ${there.join(', ')}); ${advice}`);
  }
  if (there.length === 0 && rotate) {
    throw new NotProvisioned(`there is no user ${user.name} yet; leave out --rotate to make it`);
  }
  const changes = servers.map(
    (server, i) => new Change(server, provisioning, users[i]?.get(user.name) ?? null),
  );
  try {
    await carryOut(changes, provisioning);
  } catch (error) {
    const undone = await Promise.allSettled(changes.map((change) => change.undo()));
    throw new NotProvisioned(
      error,
      undone.flatMap((one) => (one.status === 'rejected' ? [(one.reason as Error).message] : [])),
    );
  }
  const [shortest = []] = changes.map(({ rules }) => rules).sort((a, b) => a.length - b.length);
  return {
    line: ['user', user.name, ...shortest].join(' '),
    forgetful: changes.filter(({ saved }) => !saved).map(({ server }) => server.name),
    open: servers.filter((_, i) => isOpen(users[i]?.get('default') ?? [])).map(({ name }) => name),
  };
}

/** Each step on all servers before the next one: what is not proven everywhere is written to no file. */
async function carryOut(changes: readonly Change[], { rotate, interrupted }: Provisioning): Promise<void> {
  const each = (step: (change: Change) => Promise<void>) =>
    unless(interrupted, Promise.all(changes.map(step)));
  await each((change) => change.make());
  await each((change) => change.prove());
  await each((change) => change.save());
  if (rotate) await each((change) => change.endConnections());
}

/** The user on one server, and the way back. */
class Change {
  readonly server: Server;
  readonly #provisioning: Provisioning;
  readonly #hash: string;
  /** The user's rules; null: there was none. */
  readonly #before: readonly string[] | null;
  #rules: readonly string[];
  /** It has answered that it has the user. */
  #made = false;
  #saved: 'no' | 'perhaps' | 'yes' = 'no';
  /** From when it is aborted, nothing is begun. */
  readonly #over = new AbortController();

  constructor(server: Server, provisioning: Provisioning, before: readonly string[] | null) {
    this.server = server;
    this.#provisioning = provisioning;
    this.#hash = createHash('sha256').update(provisioning.password).digest('hex');
    this.#before = before;
    this.#rules = rulesOf(provisioning.user, this.#hash);
  }

  /** Less what the server does not know. */
  get rules(): readonly string[] {
    return this.#rules;
  }

  /** In a file of the server's. */
  get saved(): boolean {
    return this.#saved === 'yes';
  }

  /** In place of all that the user had. */
  async make(): Promise<void> {
    while (!this.#over.signal.aborted) {
      try {
        await this.#set(this.#rules);
        this.#made = true;
        return;
      } catch (error) {
        const unknown = /modifier '([^']+)': Unknown command/.exec((error as Error).message)?.[1];
        const rest = this.#rules.filter((rule) => rule !== unknown);
        if (unknown === undefined || !YOUNGER.has(unknown) || rest.length === this.#rules.length) throw error;
        this.#rules = rest;
      }
    }
  }

  async prove(): Promise<void> {
    const { user, password, day } = this.#provisioning;
    const as = await this.server.openAs(user.name, password, this.#over.signal);
    await prove(as, user, day).finally(() => as.close());
  }

  async save(): Promise<void> {
    if (this.#over.signal.aborted) return;
    this.#saved = 'perhaps';
    this.#saved = (await saveUsers(this.server)) ? 'yes' : 'no';
  }

  /** Of whoever got in with the password that is no longer good. */
  async endConnections(): Promise<void> {
    if (!this.#over.signal.aborted)
      await this.server.call('CLIENT', 'KILL', 'USER', this.#provisioning.user.name);
  }

  /** Works also for what is yet to be answered: a server does things in the order in which they were sent, however late. */
  async undo(): Promise<void> {
    this.#over.abort();
    if (this.#before !== null) await this.#set(this.#before);
    else if (await this.#isOurs()) await this.server.call('ACL', 'DELUSER', this.#provisioning.user.name);
    if (this.#saved !== 'no') await saveUsers(this.server);
  }

  /** False where somebody else has made the user anew since. */
  async #isOurs(): Promise<boolean> {
    if (!this.#made) return true;
    const rules = (await rulesByUser(this.server)).get(this.#provisioning.user.name);
    return rules?.includes(`#${this.#hash}`) ?? false;
  }

  async #set(rules: readonly string[]): Promise<void> {
    await this.server.call('ACL', 'SETUSER', this.#provisioning.user.name, 'reset', ...rules);
  }
}

/** Whoever connects is the default user, until he says another name. */
function isOpen(rules: readonly string[]): boolean {
  return rules.includes('on') && rules.includes('nopass') && rules.some((rule) => rule.startsWith('+'));
}

/** What comes of the work, or an error as soon as the operator wants no more of it. */
async function unless<T>(interrupted: AbortSignal, work: Promise<T>): Promise<T> {
  const { promise, reject } = Promise.withResolvers<never>();
  const stop = () => reject(new Error('interrupted'));
  interrupted.addEventListener('abort', stop);
  if (interrupted.aborted) stop();
  try {
    return await Promise.race([promise, work]);
  } finally {
    interrupted.removeEventListener('abort', stop);
  }
}
