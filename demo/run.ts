/** `npm run demo`: the gateway in front of stand-ins, two of which fail on purpose, with commands to try. No key, no network. */
import { parseArgs } from 'node:util';
import { curlLine, EXAMPLES, isAsExpected, KEY, send } from './examples.ts';
import { type Gateway, type LogLine, startGateway } from './gateway.ts';
import { startUpstreams } from './upstreams.ts';

const HELP = `Usage: npm run demo [-- --once]
  --once   send the requests that are shown, print their answers, and end: with 0 if all came out as they should, else with 1
`;

const say = (text: string) => {
  process.stdout.write(`${text}\n`);
};

async function main(): Promise<number> {
  const { values } = parseArgs({
    options: { once: { type: 'boolean', default: false }, help: { type: 'boolean', default: false } },
  });
  if (values.help) {
    process.stdout.write(HELP);
    return 0;
  }
  const interrupted = waitForSignal();
  say('Starting three stand-ins for providers, and the gateway in front of them ...');
  const upstreams = await startUpstreams();
  try {
    const gateway = await startGateway(upstreams.environment, values.once ? () => {} : showLogLine);
    show(gateway);
    if (values.once) {
      const well = await Promise.race([tryAll(gateway), interrupted]);
      await gateway.stop();
      return well === true ? 0 : 1;
    }
    say('\nEvery request that you send is reported below. Ctrl-C ends the demo.\n');
    const died = await Promise.race([gateway.ended, interrupted]);
    if (died !== null) {
      say(`The gateway has ended by itself (${died}).`);
      return 1;
    }
    say('\nStopping: open streams may end within two seconds ...');
    await gateway.stop();
    say('Stopped.');
    return 0;
  } finally {
    await upstreams.stop();
  }
}

/** Resolves to null at the first signal; the second one ends everything at once. */
function waitForSignal(): Promise<null> {
  let signals = 0;
  return new Promise((resolve) => {
    const onSignal = () => {
      if (++signals > 1) process.exit(130);
      resolve(null);
    };
    for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, onSignal);
  });
}

function show({ url, admin }: Gateway): void {
  say(`
  clients talk to    ${url}/v1   (key: ${KEY}; models: chat, balanced, hopeless, torn)
  operators talk to  ${admin}
  behind it          crowded (429 to everyone), shaky (hangs up), steady (answers)
  configured in      config/demo.yaml`);
  for (const example of EXAMPLES) say(`\n${example.title}\n\n${curlLine(example, url)}`);
  say(`
What the gateway has learnt of each upstream (after five failures in a row the breaker of "shaky" opens, and it is
not even tried for ten seconds), and what it counts:

curl -s ${admin}/admin/upstreams
curl -s ${url}/v1/usage -H 'authorization: Bearer ${KEY}'
curl -s '${admin}/admin/usage?by=tenant,provider'
curl -s ${admin}/metrics | grep ^spillway_`);
}

async function tryAll({ url }: Gateway): Promise<boolean> {
  let well = true;
  for (const example of EXAMPLES) {
    say(`\n${example.title}`);
    const answer = await send(example, url);
    const ok = isAsExpected(example, answer);
    well &&= ok;
    say(
      `HTTP ${answer.status}, answered by ${answer.target ?? 'nobody'}, tries: ${answer.attempts ?? 'none'}`,
    );
    say(answer.text.trimEnd());
    say(ok ? 'As it should be.' : `NOT as it should be: expected ${JSON.stringify(example.expected)}`);
  }
  return well;
}

interface Try {
  target: string;
  outcome: string;
  status: number | null;
  ms: number;
}

/** A request in words; of the rest, what somebody should see. */
function showLogLine(line: LogLine): void {
  if (line.msg === 'request') {
    const tries = (line['tries'] as Try[])
      .map(
        ({ target, outcome, status, ms }) => `${target} ${status ?? '-'} ${outcome} (${Math.round(ms)} ms)`,
      )
      .join(', then ');
    const { model, status, outcome } = line;
    say(
      `  log: ${String(model)} -> ${String(status)} ${String(outcome)}; tries: ${tries === '' ? 'none' : tries}`,
    );
  } else if (line.level >= 40) {
    const { level: _, time: __, msg, ...rest } = line;
    say(`  log: ${msg} ${JSON.stringify(rest)}`);
  }
}

try {
  process.exitCode = await main();
} catch (error) {
  process.stderr.write(`demo: ${(error as Error).message}\n`);
  process.exitCode = 1;
}
