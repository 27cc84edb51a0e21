import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { delta, FINISH, ROLE, readEvents, startRig, text, untilStill } from '../support/rig.ts';
import { chunk, type Exchange, head, script, stream } from '../support/upstream.ts';

const PADDING = 'x'.repeat(10_000);

describe('what is held back before the first content', () => {
  it('is passed on whole where it is a little', async (t) => {
    const rig = await startRig(t);
    const quiet = Array.from({ length: 50 }, (_, number) => ({ ...delta({}), number, PADDING }));
    rig.upstream.enqueue(stream([ROLE, ...quiet, text('Hi'), FINISH]));
    const received = readEvents(await (await rig.stream()).rest());
    assert.equal(received.chunks.length, 53);
    assert.equal(received.done, true);
  });

  it('is not the first content itself, however large that is', async (t) => {
    const rig = await startRig(t);
    const picture = {
      type: 'image_url',
      image_url: { url: `data:image/png;base64,${'A'.repeat(3_000_000)}` },
    };
    rig.upstream.enqueue(stream([ROLE, delta({ content: '', images: [picture] }), text('Hi'), FINISH]));
    const received = readEvents(await (await rig.stream()).rest());
    assert.equal(received.chunks.length, 4);
    assert.equal(received.done, true);
  });

  for (const [name, event] of Object.entries({
    'chunks without content': `data: ${JSON.stringify({ ...delta({}), PADDING })}\n\n`,
    'one event that does not end': `data: ${PADDING}`,
    'one line that does not end': PADDING,
  })) {
    it(`is bounded: ${name}`, async (t) => {
      const rig = await startRig(t, { second: true });
      let written = 0;
      const floods = async (exchange: Exchange) => {
        for (;;) {
          await exchange.write(chunk(event));
          written += event.length;
        }
      };
      rig.upstream.enqueue(
        script(head(200, { 'content-type': 'text/event-stream', 'transfer-encoding': 'chunked' }), floods),
      );
      const reader = await rig.stream();
      assert.equal(readEvents(await reader.rest()).done, true);
      assert.equal(reader.response.headers.get('x-spillway-target'), 'b/up');
      const accepted = await untilStill(() => written);
      assert.ok(accepted < 64 * 1024 * 1024, `${accepted} bytes were taken`);
      assert.deepEqual(
        (await rig.line()).tries.map(({ outcome }) => outcome),
        ['broken_body', 'ok'],
      );
      await rig.nothingLeft();
    });
  }
});
