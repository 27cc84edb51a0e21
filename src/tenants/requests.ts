import { readHash } from '../auth/key-hash.ts';
import { ApiError } from '../core/errors.ts';
import { nearest } from '../core/nearest.ts';
import { quotaId } from '../quota/limits.ts';
import { type QuotaFile, toQuotaSettings } from '../quota/schema.ts';
import { type Fault, type FoundValue, faultsOf, shownScalar } from '../schema/faults.ts';
import { formatPath, type Path } from '../schema/path.ts';
import type { Schema } from './schema.ts';

/** The names that may stand in `models`. */
export interface ModelNames {
  isModel(name: string): boolean;
  /** For "did you mean". */
  all(): Iterable<string>;
}

/** Holds what an operator sent to its schema, in the words that the file is held to its own with. Throws an ApiError. */
export function read<T>(schema: Schema<T>, body: unknown): T {
  const parsed = schema.safeParse(body);
  if (parsed.success) return parsed.data;
  const faults = parsed.error.issues.flatMap((issue) =>
    faultsOf(schema, issue, foundValue(valueAt(body, issue.path as Path))),
  );
  throw refusal(faults);
}

/** What a schema cannot know, collected, and thrown all at once. */
export class Checks {
  readonly #faults: Fault[] = [];
  readonly #names: ModelNames;

  constructor(names: ModelNames) {
    this.#names = names;
  }

  report(path: Path, message: string): void {
    this.#faults.push({ path, message, atKey: false });
  }

  models(models: readonly string[] | null | undefined, path: Path): void {
    for (const [index, name] of (models ?? []).entries()) {
      if (this.#names.isModel(name) && name.isWellFormed()) continue;
      const meant = nearest(name, this.#names.all());
      const hint = meant === null ? '' : `; did you mean ${meant}?`;
      this.report([...path, index], `there is no model ${shownScalar(name, name, false)}${hint}`);
    }
  }

  /** Two that differ in nothing but the limit would share a counter. */
  quotas(quotas: readonly QuotaFile[] | undefined, path: Path): void {
    const ids = new Map<string, number>();
    for (const [index, quota] of (quotas ?? []).entries()) {
      this.models(quota.models, [...path, index, 'models']);
      const id = quotaId(toQuotaSettings(quota), '');
      const twin = ids.get(id);
      if (twin === undefined) ids.set(id, index);
      else {
        const other = formatPath([...path, twin]);
        this.report([...path, index], `counts the same as \`${other}\`; keep one of the two`);
      }
    }
  }

  /** The hash in its usual form; an empty text after telling what is wrong with it. */
  hash(sha256: string, path: Path): string {
    const result = readHash(sha256);
    if ('hash' in result) return result.hash;
    this.report(
      path,
      result.fault === 'form'
        ? 'expected 64 hexadecimal digits, found a text (not shown)'
        : 'is the hash of an empty text; was the key empty when it was made?',
    );
    return '';
  }

  /** Throws an ApiError if anything was found. */
  done(): void {
    if (this.#faults.length > 0) throw refusal(this.#faults);
  }
}

function refusal(faults: readonly Fault[]): ApiError {
  const [first] = faults;
  const lines = faults.map(
    ({ path, message }) => `${path.length === 0 ? 'the body' : formatPath(path)}: ${message}`,
  );
  const code = first?.message.startsWith('missing') ? 'missing_required_parameter' : 'invalid_value';
  const param = first === undefined || first.path.length === 0 ? null : formatPath(first.path);
  return new ApiError(code, lines.join('\n'), { param });
}

function valueAt(body: unknown, path: Path): unknown {
  let value = body;
  for (const step of path) {
    if (typeof value !== 'object' || value === null || !Object.hasOwn(value, step)) return undefined;
    value = (value as Record<string | number, unknown>)[step];
  }
  return value;
}

/** Undefined is what JSON cannot say: nothing stands there. */
function foundValue(value: unknown): FoundValue | null {
  if (value === undefined) return null;
  return { text: typeof value === 'string' ? value : null, shown: (secret) => shown(value, secret) };
}

function shown(value: unknown, secret: boolean): string {
  if (Array.isArray(value)) return 'a list';
  if (typeof value === 'object' && value !== null) return 'a map';
  return shownScalar(value as string | number | boolean | null, String(value), secret);
}
