import assert from 'node:assert/strict';
import { it } from 'node:test';
import type { TryRecord } from '../../src/core/outcome.ts';
import { DIALECTS } from '../../src/dialects/dialects.ts';
import { deliverStream } from '../../src/pipeline/deliver.ts';
import { ManualClock } from '../support/manual-clock.ts';
import { ROLE, text, until } from '../support/rig.ts';
import { silence, stream } from '../support/upstream.ts';
import { openTarget } from './visit.ts';

it('a stream that cannot be brought to its client, for a mistake of ours, is not kept coming', async (t) => {
  const target = await openTarget(t);
  target.upstream.enqueue(stream([ROLE, text('Hi'), silence()]));
  const tries: TryRecord[] = [];
  const asked = await target.ask({}, { tries });
  const request = DIALECTS.chat.read(
    Buffer.from('{"model":"m","messages":[{"role":"user","content":"Hi"}],"stream":true}'),
  );
  const mistake = new Error('a header that cannot be sent');
  const exchange = {
    stream: () => {
      throw mistake;
    },
  };
  const clock = new ManualClock(1000);
  const voice = DIALECTS.chat.presenter(request, 'id', 0);
  const delivering = deliverStream({ stream: asked.stream, voice, relayed: true }, exchange, [], 1000, clock);
  await assert.rejects(delivering, mistake);
  await until(() => target.upstream.requests[0]?.aborted === true);
  assert.equal(tries[0]?.outcome, 'client_gone');
  assert.equal(clock.pending, 0);
  assert.equal(asked.stream.passed.characters, 0);
});
