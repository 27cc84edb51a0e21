import { type Good, type LoadOptions, loadConfig } from '../config/load.ts';
import { formatProblem } from '../config/problem.ts';
import type { RuntimeConfig } from '../config/runtime.ts';
import type { ExitStatus, Terminal } from './terminal.ts';

/** Says everything that is wrong with a configuration, or in short what was understood. */
export function check(
  file: string,
  options: Pick<LoadOptions, 'readSecrets'>,
  terminal: Terminal,
): ExitStatus {
  const loaded = loadConfig(file, { ...options, env: terminal.env });
  if (!loaded.ok) {
    for (const problem of loaded.problems) terminal.err(`${formatProblem(problem)}\n`);
    terminal.err(`${count(loaded.problems.length, 'problem')}\n`);
    return 1;
  }
  for (const warning of loaded.warnings) terminal.err(`warning: ${formatProblem(warning)}\n`);
  terminal.out(
    `${file} is valid${options.readSecrets ? '' : ' (secrets were not looked at)'}.\n${summary(loaded)}`,
  );
  return 0;
}

function summary({ config, capabilitiesFrom }: Good): string {
  const models = [...config.models].filter(([name, entry]) => name === entry.name).map(([name]) => name);
  const aliases = [...config.models].filter(([name, entry]) => name !== entry.name);
  const keys = config.tenants.reduce((sum, tenant) => sum + tenant.keys.length, 0);
  const lines = [
    ['clients', address(config.listen) + (config.server.tls === null ? '' : ' (TLS)')],
    ['operators', address(config.admin.listen)],
    ['providers', [...config.providers.keys()].join(', ')],
    ['models', models.join(', ')],
    ['aliases', aliases.map(([name, entry]) => `${name} -> ${entry.name}`).join(', ')],
    ['state', stateOf(config)],
    ['quotas', quotasOf(config)],
    ['prices', config.prices.size === 0 ? '' : count(config.prices.size, 'entry', 'entries')],
    ['capabilities', capabilitiesOf(config, capabilitiesFrom)],
    [
      'tenants',
      `${config.tenants.map(({ id }) => id).join(', ')} (${config.auth === 'none' ? 'no keys asked for' : count(keys, 'key')})`,
    ],
  ];
  return lines.map(([name = '', text]) => `  ${name.padEnd(12)} ${text === '' ? '-' : text}\n`).join('');
}

function capabilitiesOf({ capabilities }: RuntimeConfig, from: string | null): string {
  return from === null ? '' : `${from} (${count(capabilities.size, 'entry', 'entries')})`;
}

/** Without addresses, which may hold a password. */
function stateOf({ state }: RuntimeConfig): string {
  if (state.redis === null) return 'in this process';
  const kinds = { single: 'Redis', cluster: 'Redis Cluster', sentinel: 'Redis behind sentinels' };
  return `${kinds[state.redis.kind]}; while it is away: ${state.onOutage}`;
}

function quotasOf({ tenants }: RuntimeConfig): string {
  const some = tenants.flatMap(({ id, quotas, keys }) => {
    const all = quotas.length + keys.reduce((sum, key) => sum + key.quotas.length, 0);
    return all === 0 ? [] : [`${id}: ${all}`];
  });
  return some.join(', ');
}

function address({ host, port }: { host: string; port: number }): string {
  return `${host.includes(':') ? `[${host}]` : host}:${port}`;
}

function count(n: number, one: string, several = `${one}s`): string {
  return `${n} ${n === 1 ? one : several}`;
}
