import type { TenantSettings } from '../auth/settings.ts';
import { StateUnavailable } from '../state/unavailable.ts';
import type { TenantDirectory } from './directory.ts';
import type { TenantDocument } from './document.ts';
import { type ModelNames, read } from './requests.ts';
import { listSchema } from './schema.ts';
import { type TenantView, viewOf, viewOfFile } from './view.ts';
import { noTenant } from './writer.ts';

/** What the configuration says that bears on tenants. */
export interface FileSettings {
  tenants: readonly TenantSettings[];
  auth: 'keys' | 'none';
  models: ModelNames;
  /** How long a key that was rotated lives on. Milliseconds. */
  keyGrace: number;
}

export interface TenantPage {
  tenants: TenantView[];
  /** What `after` is on the next page; null on the last. */
  next: string | null;
}

const USUAL_PAGE = 100;

/** Shows tenants: the file's, and those that were made through the admin API. */
export class TenantReader {
  readonly #directory: TenantDirectory;
  readonly #file: () => FileSettings;

  constructor(directory: TenantDirectory, file: () => FileSettings) {
    this.#directory = directory;
    this.#file = file;
  }

  /** In the order of their ids. */
  async list(query: unknown): Promise<TenantPage> {
    const { limit = USUAL_PAGE, after = '' } = read(listSchema, query);
    await this.#refresh();
    const all = new Set<string>();
    for (const { id } of [...this.#file().tenants, ...this.#directory.list()]) if (id > after) all.add(id);
    const page = [...all].sort().slice(0, limit);
    const next = all.size > limit ? (page.at(-1) ?? null) : null;
    return { tenants: page.map((id) => this.#view(id)), next };
  }

  async get(id: string): Promise<TenantView> {
    await this.#refresh();
    return this.#view(id);
  }

  viewOf(document: TenantDocument): TenantView {
    const { auth } = this.#file();
    const notes = [
      auth === 'none' ? 'Never seen: with `auth: none` everyone is the tenant `anonymous`.' : '',
      this.#directory.kind === 'memory'
        ? 'Kept in this process alone, and lost when it ends: `state.redis` is not set.'
        : '',
    ].filter((text) => text !== '');
    return viewOf(document, this.#directory.time(), notes.length === 0 ? null : notes.join(' '));
  }

  #view(id: string): TenantView {
    const made = this.#directory.get(id);
    const inFile = this.#file().tenants.find((tenant) => tenant.id === id);
    if (inFile === undefined) {
      if (made === null) throw noTenant(id);
      return this.viewOf(made);
    }
    const note =
      'A tenant by this id was made through the admin API too. It is set aside while the file has this one.';
    return viewOfFile(inFile, made === null ? null : note);
  }

  /** What others have just changed, if the store can be asked; else what is known. */
  async #refresh(): Promise<void> {
    try {
      await this.#directory.refresh();
    } catch (error) {
      if (!(error instanceof StateUnavailable)) throw error;
    }
  }
}
