/** The files that others deploy from, held to the code and to each other. */
import assert from 'node:assert/strict';
import { execFileSync, spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { parse, parseAllDocuments } from 'yaml';
import { loadText } from '../src/config/load.ts';
import { formatProblem } from '../src/config/problem.ts';
import { QUESTIONS, registeredMetrics } from '../tools/docs/metrics.ts';

const ROOT = join(import.meta.dirname, '..');
const read = (file: string) => readFileSync(join(ROOT, file), 'utf8');

const hasPromtool = spawnSync('promtool', ['--version']).status === 0;
const NO_PROMTOOL = 'there is no promtool here (Debian has it in the package prometheus)';

interface Alerts {
  groups: { rules: { alert: string; expr: string }[] }[];
}

/** Metrics that an expression asks for; a histogram is asked for by its parts. */
function metricsIn(expression: string): string[] {
  return [...expression.matchAll(/spillway_[a-z_]+/g)].map(([name]) =>
    name.replace(/_(bucket|count|sum)$/, ''),
  );
}

describe('Prometheus', () => {
  const alerts = (parse(read('config/alerts.yml')) as Alerts).groups.flatMap(({ rules }) => rules);

  it('is asked only for metrics that there are', async () => {
    const known = new Set((await registeredMetrics()).map(({ name }) => name));
    const asked = [...alerts.map(({ expr }) => expr), ...QUESTIONS.map(({ query }) => query)].flatMap(
      metricsIn,
    );
    assert.deepEqual(
      asked.filter((name) => !known.has(name)),
      [],
    );
  });

  it('has alerts that docs/operating.md explains', () => {
    const page = read('docs/operating.md');
    assert.deepEqual(
      alerts.map(({ alert }) => alert).filter((alert) => !page.includes(`| \`${alert}\` |`)),
      [],
    );
  });

  it('finds its files in order', { skip: hasPromtool ? false : NO_PROMTOOL }, () => {
    execFileSync('promtool', ['check', 'config', join(ROOT, 'config/prometheus.yml')]);
    const rules = QUESTIONS.map(({ query }, index) => ({ record: `question:${index}`, expr: query }));
    const folder = mkdtempSync(join(tmpdir(), 'spillway-rules-'));
    try {
      writeFileSync(join(folder, 'rules.json'), JSON.stringify({ groups: [{ name: 'questions', rules }] }));
      execFileSync('promtool', ['check', 'rules', join(folder, 'rules.json')]);
    } finally {
      rmSync(folder, { recursive: true });
    }
  });

  it('tells of a key that was refused once', { skip: hasPromtool ? false : NO_PROMTOOL }, () => {
    const refused = 'spillway_attempts_total{provider="a",model="m",outcome="credentials_refused"}';
    // For five minutes there is no such series, then it is there and stays as it is.
    const first = '_x20 1x100';
    // Refused once, long ago; then nobody could ask for two minutes.
    const gap = '1x400 stale _x7 1x400';
    const firing = (values: string, minutes: number, labels: object[]) => ({
      promql_expr_test: [
        {
          expr: 'count by (provider, outcome) (ALERTS{alertname="SpillwayKeyRefused",alertstate="firing"})',
          eval_time: `${minutes}m`,
          exp_samples: labels,
        },
      ],
      interval: '15s',
      input_series: [{ series: refused, values }],
    });
    const told = [{ labels: '{provider="a",outcome="credentials_refused"}', value: 1 }];
    const folder = mkdtempSync(join(tmpdir(), 'spillway-alerts-'));
    try {
      const file = join(folder, 'tests.json');
      const tests = [
        ...[firing(first, 4, []), firing(first, 6, told), firing(first, 17, [])],
        // Ten minutes before stands the gap.
        ...[firing(gap, 103, []), firing(gap, 111, []), firing(gap, 112, [])],
      ];
      writeFileSync(file, JSON.stringify({ rule_files: [join(ROOT, 'config/alerts.yml')], tests }));
      const { status, stdout } = spawnSync('promtool', ['test', 'rules', file], { encoding: 'utf8' });
      assert.equal(status, 0, stdout);
    } finally {
      rmSync(folder, { recursive: true });
    }
  });
});

describe('the image', () => {
  it('runs the Node that the tests run', () => {
    const { devDependencies } = JSON.parse(read('package.json')) as { devDependencies: { node: string } };
    const [, image] = /^ARG NODE_IMAGE=node:([\d.]+)-/m.exec(read('Dockerfile')) ?? [];
    assert.equal(image, devDependencies.node);
    assert.equal(devDependencies.node.split('.')[0], read('.nvmrc').trim());
  });

  it('starts with what was compiled for it: as the same user, in the same folder, by the same Node', () => {
    const said = (instruction: string) =>
      [...read('Dockerfile').matchAll(new RegExp(`^${instruction} (.+)$`, 'gm'))].map(([, value]) => value);
    assert.deepEqual(said('USER'), ['1000:1000', '1000:1000']);
    assert.deepEqual([...new Set(said('WORKDIR'))], ['/app']);
    assert.deepEqual(said('FROM'), [
      '${NODE_IMAGE} AS packages',
      '${NODE_IMAGE} AS build',
      'packages AS compiled',
      '${BASE_IMAGE}',
    ]);
    assert.ok(said('COPY').includes('--from=packages /usr/local/bin/node /usr/local/bin/node'));
  });

  it('is given every file that it copies', () => {
    const copied = [...read('Dockerfile').matchAll(/^COPY (?!--from)(.+) \S+$/gm)].flatMap(([, files = '']) =>
      files.split(' '),
    );
    const sent = read('.dockerignore').split('\n');
    assert.deepEqual(
      copied.filter((file) => !sent.includes(`!${file}`)),
      [],
    );
  });
});

describe('Compose', () => {
  interface Service {
    restart: string;
    read_only: boolean;
    security_opt: string[];
    stop_grace_period?: string;
  }
  const { services } = parse(read('docker-compose.yml'), { merge: true }) as {
    services: Record<string, Service>;
  };

  it('hardens every service', () => {
    assert.deepEqual(Object.keys(services), ['gateway', 'prometheus', 'redis']);
    for (const service of Object.values(services)) {
      assert.equal(service.restart, 'unless-stopped');
      assert.equal(service.read_only, true);
      assert.deepEqual(service.security_opt, ['no-new-privileges:true']);
    }
  });

  it('has an environment file for all that the configuration names', () => {
    const named = [...read('config/spillway.yaml').matchAll(/\$\{([A-Z_]+)/g)].map(([, name]) => `${name}=`);
    const offered = read('.env.example').split('\n');
    assert.deepEqual(
      named.filter((line) => !offered.includes(line)),
      [],
    );
  });

  it('waits longer than the gateway takes to drain', () => {
    const loaded = loadText('spillway.yaml', read('config/spillway.yaml'), { env: {}, readSecrets: false });
    assert.ok(loaded.ok);
    const patience = Number.parseInt(services['gateway']?.stop_grace_period ?? '0', 10) * 1000;
    assert.ok(patience > loaded.config.server.drainTimeout);
  });
});

describe('the Kubernetes example', () => {
  interface ConfigMap {
    kind: 'ConfigMap';
    data: Record<string, string>;
  }
  interface Deployment {
    kind: 'Deployment';
    spec: {
      template: {
        spec: {
          terminationGracePeriodSeconds: number;
          containers: { lifecycle: { preStop: { sleep: { seconds: number } } } }[];
        };
      };
    };
  }
  const documents = parseAllDocuments(read('docs/kubernetes.yaml')).map(
    (document) => document.toJS() as ConfigMap | Deployment | { kind: 'Service' | 'PodDisruptionBudget' },
  );

  it('has a configuration that loads, and waits longer than it takes to drain', () => {
    const map = documents.find((document) => document.kind === 'ConfigMap');
    const deployment = documents.find((document) => document.kind === 'Deployment');
    assert.ok(map !== undefined && deployment !== undefined);
    const yaml = map.data['spillway.yaml'] ?? '';
    const loaded = loadText('spillway.yaml', yaml, { env: {}, readSecrets: false });
    assert.ok(loaded.ok, loaded.ok ? '' : loaded.problems.map(formatProblem).join('\n'));
    const pod = deployment.spec.template.spec;
    const sleep = Number(pod.containers[0]?.lifecycle.preStop.sleep.seconds) * 1000;
    assert.ok(pod.terminationGracePeriodSeconds * 1000 > sleep + loaded.config.server.drainTimeout);
  });
});
