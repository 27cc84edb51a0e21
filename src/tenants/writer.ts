import { ID_FORM } from '../auth/schema.ts';
import { ApiError } from '../core/errors.ts';
import { StateUnavailable } from '../state/unavailable.ts';
import { keyExists } from './changes.ts';
import type { Change, TenantDirectory } from './directory.ts';
import type { TenantDocument } from './document.ts';

/** Of a tenant in the store, as JSON: every gateway reads it whole at each of its changes. Characters. */
const LONGEST = 256 * 1024;
/** How soon it makes sense to ask again while the store is away. Milliseconds. */
const AGAIN_IN = 1000;

/** Changes tenants of the directory, or says why not: ApiErrors are all that it throws. */
export class TenantWriter {
  readonly #directory: TenantDirectory;
  readonly #fileName: string;

  constructor(directory: TenantDirectory, fileName: string) {
    this.#directory = directory;
    this.#fileName = fileName;
  }

  /** `document` null: it is gone. */
  async update(id: string, change: Change): Promise<{ document: TenantDocument | null; changed: boolean }> {
    if (this.#directory.isInFile(id)) throw this.#inFile(id);
    const updated = await this.#unlessAway(() =>
      this.#directory.update(id, (current, now) => {
        const draft = change(current, now);
        if (draft !== null && JSON.stringify(draft).length > LONGEST) throw tooLong();
        return draft;
      }),
    );
    if (updated.kind === 'taken') throw keyExists(updated.by);
    if (updated.kind === 'unreadable') throw unreadable(id);
    if (updated.kind === 'crowded') throw crowded(id);
    return updated;
  }

  async #unlessAway<T>(work: () => Promise<T>): Promise<T> {
    try {
      return await work();
    } catch (error) {
      if (!(error instanceof StateUnavailable)) throw error;
      throw new ApiError(
        'state_unavailable',
        'Redis cannot be reached, so tenants cannot be changed now; those known here stay in force as they are. Look before you ask again: the change may have been made all the same.',
        { retryAfterMs: AGAIN_IN },
      );
    }
  }

  #inFile(id: string): ApiError {
    return new ApiError(
      'tenant_in_file',
      `\`${id}\` stands in the configuration file (${this.#fileName}): change it there, then reload.`,
    );
  }
}

export function noTenant(id: string): ApiError {
  // What is no id may be anything, a key that went astray among them.
  const which = ID_FORM.test(id) ? ` \`${id}\`` : ' of this id';
  return new ApiError('tenant_not_found', `There is no tenant${which}.`);
}

export function noKey(tenant: string, id: string): ApiError {
  const which = ID_FORM.test(id) ? ` \`${id}\`` : ' of this id';
  return new ApiError('key_not_found', `The tenant \`${tenant}\` has no key${which}.`);
}

function tooLong(): ApiError {
  return new ApiError(
    'invalid_value',
    `With this the tenant would take more than ${LONGEST / 1024} kB; give it fewer keys, models or quotas, or make it two tenants.`,
  );
}

function unreadable(id: string): ApiError {
  return new ApiError(
    'state_unavailable',
    `What is stored of \`${id}\` cannot be read by this gateway; ask one of a newer version.`,
    { shouldRetry: false },
  );
}

function crowded(id: string): ApiError {
  return new ApiError('state_unavailable', `Others keep changing \`${id}\`; nothing was done. Try again.`, {
    retryAfterMs: AGAIN_IN,
  });
}
