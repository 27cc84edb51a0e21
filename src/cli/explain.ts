import { wordsOf } from '../capabilities/words.ts';
import type { Inheritance } from '../config/inherit.ts';
import { type Good, type LoadOptions, loadConfig } from '../config/load.ts';
import { formatPath, formatProblem, type Path } from '../config/problem.ts';
import { isJsonObject, type Json, type JsonObject } from '../core/json.ts';
import { nearest } from '../core/nearest.ts';
import { formatDuration } from '../core/units.ts';
import { defaultsSchema } from '../routing/schema.ts';
import type { TargetSettings } from '../routing/target.ts';
import type { HedgeSettings, LoadBalanceNode, TreeNode } from '../routing/tree.ts';
import { schemaAt, unwrap } from '../schema/walk.ts';
import type { ExitStatus, Terminal } from './terminal.ts';

/** Prints the tree behind a model's name, with everything that its targets inherit and where it was said. */
export function explain(
  model: string,
  file: string,
  options: Pick<LoadOptions, 'readSecrets'>,
  terminal: Terminal,
): ExitStatus {
  const loaded = loadConfig(file, { ...options, env: terminal.env });
  if (!loaded.ok) {
    for (const problem of loaded.problems) terminal.err(`${formatProblem(problem)}\n`);
    return 1;
  }
  const { config } = loaded;
  const entry = config.models.get(model) ?? config.directModel(model);
  if (entry === null) {
    const names = [...config.models.keys()];
    const meant = nearest(model, names);
    const hint = meant === null ? `there are: ${names.join(', ') || 'none'}` : `did you mean ${meant}?`;
    terminal.err(`${file} has no model ${JSON.stringify(model)}; ${hint}\n`);
    return 2;
  }
  terminal.out(`${model}${entry.name === model ? '' : ` (an alias of ${entry.name})`}\n`);
  for (const line of new Printer(loaded).node(entry.tree, '')) terminal.out(`  ${line}\n`);
  return 0;
}

class Printer {
  readonly #loaded: Good;

  constructor(loaded: Good) {
    this.#loaded = loaded;
  }

  node(node: TreeNode<TargetSettings>, note: string): string[] {
    const name = `${node.label}${note}`;
    switch (node.kind) {
      case 'target':
        return [`${node.target.id}  # ${name}`, ...indented(this.#settings(node.target))];
      case 'fallback':
        return [
          `${node.children.length === 1 ? 'single' : 'fallback'}${hedged(node.hedge)}${codes(node.onStatusCodes)}  # ${name}`,
          ...node.children.flatMap((child) => indented(this.node(child, ''))),
        ];
      case 'loadbalance':
        return [
          `loadbalance${balanced(node)}${codes(node.onStatusCodes)}  # ${name}`,
          ...node.children.flatMap((child) => indented(this.node(child.node, `, weight ${child.weight}`))),
        ];
      case 'conditional': {
        const children = new Map<TreeNode<TargetSettings>, string[]>();
        for (const [index, { child }] of node.conditions.entries()) {
          children.set(child, [...(children.get(child) ?? []), `if conditions[${index}] matches`]);
        }
        if (node.default !== null)
          children.set(node.default, [...(children.get(node.default) ?? []), 'else']);
        return [
          `conditional  # ${name}`,
          ...[...children].flatMap(([child, when]) => indented(this.node(child, `, ${when.join(', ')}`))),
        ];
      }
    }
  }

  #settings(target: TargetSettings): string[] {
    const held = this.#loaded.origins.get(target);
    if (held === undefined) return [];
    const { model: _, ...params } = held.overrideParams;
    const lines = this.#leaves(held, params, ['override_params']);
    for (const part of ['retry', 'timeouts', 'breaker', 'cache'] as const) {
      lines.push(...this.#leaves(held, held[part] as unknown as JsonObject, [part]));
    }
    lines.push(...this.#leaves(held, { strict_params: held.strictParams, mid_stream: held.midStream }, []));
    if (target.prefill !== null) lines.push(`prefill: ${target.prefill}`);
    return [...lines, ...this.#ofProvider(target), ...this.#known(target)];
  }

  /** What holds for all that is asked of its provider. */
  #ofProvider({ provider: id }: TargetSettings): string[] {
    const { config, written } = this.#loaded;
    const provider = config.providers.get(id);
    if (provider === undefined) return [];
    const { limits, adaptive } = provider;
    const rate = (of: { limit: number; per: string } | null | undefined) =>
      of ? `${of.limit}/${of.per}` : null;
    const lines: [key: string, value: string | null][] = [
      ['limits.requests', rate(limits?.requests)],
      ['limits.tokens', rate(limits?.tokens)],
      ['limits.concurrent', limits?.concurrent?.toString() ?? null],
      ['adaptive', String(adaptive)],
    ];
    return lines.flatMap(([key, value]) => {
      const places = ['providers', 'virtual_keys'].map((section) =>
        formatPath([section, id, ...key.split('.')]),
      );
      const said = places.map((place) => written.get(place)).find((text) => text !== undefined) ?? value;
      return said === null ? [] : [`${key}: ${said}  # of the provider ${id}`];
    });
  }

  /** What is known of the model, in the words of its file. */
  #known({ provider, model }: TargetSettings): string[] {
    const { config, capabilitiesFrom } = this.#loaded;
    if (capabilitiesFrom === null) return [];
    const words = Object.entries(wordsOf(config.capabilities.find(provider, model)));
    const extended = config.capabilities.isExtended(provider, model);
    const from = `  # ${extended ? 'built in' : capabilitiesFrom}`;
    if (words.length === 0) {
      const what = config.capabilities.knows(provider, model) ? 'nothing special' : 'unknown';
      return [`capabilities: ${what}${from}`];
    }
    return words.map(([word, value]) => `capabilities.${word}: ${JSON.stringify(value)}${from}`);
  }

  /** One line for each setting below `path`. */
  #leaves(held: Inheritance, settings: JsonObject, path: Path): string[] {
    const lines: string[] = [];
    for (const [key, value] of Object.entries(settings)) {
      const place = [...path, key];
      const origin = place.reduce<Json | undefined>(
        (inner, step) => (isJsonObject(inner) ? inner[step] : inner),
        held.origins,
      );
      if (isJsonObject(value) && isJsonObject(origin) && Object.keys(value).length > 0) {
        lines.push(...this.#leaves(held, value, place));
      } else if (value !== undefined) {
        const from = typeof origin === 'string' ? origin : 'built in';
        lines.push(`${formatPath(place)}: ${this.#shown(value, place, from)}  # ${from}`);
      }
    }
    return lines;
  }

  #shown(value: Json, path: Path, from: string): string {
    const schema = schemaAt(defaultsSchema, path);
    if (typeof value === 'number' && schema !== null && unwrap(schema).facets.form === 'duration') {
      return formatDuration(value);
    }
    return JSON.stringify(this.#withoutSecrets(value, formatPath(path, from)));
  }

  /** What came from `${...}` as it was written: any of it may be a secret. */
  #withoutSecrets(value: Json, place: string): Json {
    const written = this.#loaded.written.get(place);
    if (written !== undefined) return written;
    if (Array.isArray(value)) {
      return value.map((item, index) => this.#withoutSecrets(item, formatPath([index], place)));
    }
    if (!isJsonObject(value)) return value;
    return Object.fromEntries(
      Object.entries(value).map(([key, inner]) => [
        key,
        this.#withoutSecrets(inner, formatPath([key], place)),
      ]),
    );
  }
}

function indented(lines: string[]): string[] {
  return lines.map((line) => `  ${line}`);
}

function hedged(hedge: HedgeSettings | null): string {
  if (hedge === null) return '';
  const { after, maxExtra } = hedge;
  const when = 'ms' in after ? formatDuration(after.ms) : `p${Math.round(after.quantile * 100)}`;
  return `, the next one too after ${when} for at most ${maxExtra} of the requests`;
}

function balanced({ by, sticky }: LoadBalanceNode<TargetSettings>): string {
  return `${by === 'weight' ? '' : ` by ${by}`}${sticky === null ? '' : `, sticky by ${sticky}`}`;
}

function codes(onStatusCodes: ReadonlySet<number> | null): string {
  return onStatusCodes === null ? '' : `, goes on after ${[...onStatusCodes].join(' ')}`;
}
