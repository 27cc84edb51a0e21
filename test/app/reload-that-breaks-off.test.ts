import assert from 'node:assert/strict';
import { it } from 'node:test';
import { startGateway } from '../support/gateway.ts';

it('a reload whose reading breaks off is told of, changes nothing, and is in the way of no other', async (t) => {
  let broken = false;
  // Something that no check has foreseen.
  const env = {
    get MODEL() {
      if (broken) throw new Error('no memory left');
      return 'one';
    },
  };
  const config = (name: string) => ({
    providers: { a: { adapter: 'vllm', base_url: 'http://127.0.0.1:9' } },
    models: { [name]: { provider: 'a', model: '${MODEL}' } },
  });
  const gateway = await startGateway(config('m'), { env });
  t.after(() => gateway.close());
  broken = true;
  gateway.changeConfig(config('n'));
  assert.deepEqual(await gateway.app.reload(), {
    ok: false,
    problems: ['it cannot be run: no memory left'],
  });
  assert.deepEqual(
    gateway.logs.map(({ level, message }) => [level, message]),
    [['error', 'the configuration was not reloaded: the running one stays']],
  );
  assert.equal((await gateway.chat({ model: 'n' })).status, 404);
  broken = false;
  assert.deepEqual(await gateway.app.reload(), { ok: true });
  assert.notEqual((await gateway.chat({ model: 'n' })).status, 404);
});
