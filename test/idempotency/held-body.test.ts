import assert from 'node:assert/strict';
import { it } from 'node:test';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { JsonBody } from '../../src/core/json-body.ts';
import { startGateway } from '../support/gateway.ts';
import { chatStream, Gate, pauseUntil, startUpstream } from '../support/upstream.ts';

setFlagsFromString('--expose-gc');
const collect = runInNewContext('gc') as () => void;

/** Is what it held gone, after some turns? */
async function isGone(held: WeakRef<object> | undefined): Promise<boolean> {
  for (let turn = 0; turn < 50 && held?.deref() !== undefined; turn++) {
    await nextTurn();
    collect();
  }
  return held !== undefined && held.deref() === undefined;
}

for (const kilobytes of [10, 1500]) {
  it(`a stream does not keep the request that it answers, which had an Idempotency-Key and ${kilobytes} KB`, async (t) => {
    const upstream = await startUpstream();
    t.after(() => upstream.close());
    const gateway = await startGateway({
      providers: { a: { adapter: 'openai', base_url: upstream.url, api_key: 'key' } },
      models: { m: { provider: 'a', model: 'up' } },
    });
    t.after(() => gateway.close());
    const bodies: WeakRef<Buffer>[] = [];
    const { parse } = JsonBody;
    // A mock would keep what it is called with.
    JsonBody.parse = (bytes) => {
      bodies.push(new WeakRef(bytes));
      return parse.call(JsonBody, bytes);
    };
    t.after(() => {
      JsonBody.parse = parse;
    });
    const gate = new Gate();
    upstream.reply(() => chatStream({ content: ['Hel', pauseUntil(gate), 'lo'] }));
    const messages = [{ role: 'user', content: 'x'.repeat(1000 * kilobytes) }];
    const response = await gateway.chat({ stream: true, messages }, { 'idempotency-key': 'one' });
    assert.equal(bodies.length, 1);
    assert.ok(await isGone(bodies[0]));
    gate.open();
    assert.match(await response.text(), /lo/);
  });
}
