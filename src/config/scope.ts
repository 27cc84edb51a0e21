import type { ConfigFiles } from './files.ts';
import { keysAt } from './located.ts';
import { type Reported, Reports } from './reports.ts';
import { configSchema } from './schema.ts';
import type { Located } from './source.ts';
import { type Surroundings, substitute } from './substitute.ts';

/** What compiling needs to know of the file beside its data: where things stand, what may be said of them, which names there are. */
export class Scope extends Reports {
  readonly directory: string;
  readonly files: ConfigFiles;
  /** False: files of certificates are not looked at. */
  readonly readSecrets: boolean;
  readonly #surroundings: Surroundings;
  readonly secrets = new Set<string>();
  /** Names of the file as it was written, those of faulty entries included: they are there, so to name them is no mistake. */
  readonly names: {
    providers: ReadonlySet<string>;
    models: ReadonlySet<string>;
    aliases: ReadonlySet<string>;
  };

  constructor(options: Omit<Reported, 'schema'> & Surroundings & { names: Scope['names'] }) {
    super({ ...options, schema: configSchema });
    this.directory = options.directory;
    this.files = options.files;
    this.readSecrets = options.readSecrets;
    this.#surroundings = options;
    this.names = options.names;
  }

  /** What the environment says under the first of these names that it has; null = nothing, or nothing is to be read. */
  environment(...names: readonly string[]): string | null {
    const texts = names.map((name) => substitute(`\${${name}:-}`, this.#surroundings).text);
    return texts.find((text) => text !== '') ?? null;
  }
}

export function namesOf(root: Located): Scope['names'] {
  return {
    providers: new Set([...keysAt(root, ['providers']), ...keysAt(root, ['virtual_keys'])]),
    models: new Set(keysAt(root, ['models'])),
    aliases: new Set(keysAt(root, ['aliases'])),
  };
}
