import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { FINISH, ROLE, startRig, text } from '../support/rig.ts';
import {
  apiError,
  chatAnswer,
  close,
  head,
  htmlPage,
  plain,
  reset,
  type Script,
  script,
  stream,
  write,
} from '../support/upstream.ts';

const EVENT_STREAM = {
  'content-type': 'text/event-stream',
  'content-encoding': 'snappy',
  'content-length': '10',
};

/** Ends of every kind. `sockets`: whether the connection can be used again. */
const ENDS: Record<string, { how: Script; streaming: boolean; keeps: boolean }> = {
  'a plain answer': { how: chatAnswer(), streaming: false, keeps: true },
  'a packed plain answer': { how: chatAnswer({ encoding: 'gzip' }), streaming: false, keeps: true },
  'a plain answer that is no JSON': { how: htmlPage(200), streaming: false, keeps: true },
  'an error': { how: apiError(500), streaming: false, keeps: true },
  'an error to a stream': { how: apiError(400), streaming: true, keeps: true },
  'a plain answer that is cut': {
    how: script(head(200, { 'content-length': '50' }), write('{"cho'), close()),
    streaming: false,
    keeps: false,
  },
  'a reset': { how: reset(), streaming: false, keeps: false },
  'a stream': { how: stream([ROLE, text('Hi'), FINISH]), streaming: true, keeps: true },
  'a packed stream': {
    how: stream([ROLE, text('Hi'), FINISH], { encoding: 'br' }),
    streaming: true,
    keeps: true,
  },
  'a stream without an end mark': {
    how: stream([ROLE, text('Hi'), FINISH], { done: false }),
    streaming: true,
    keeps: true,
  },
  'a packed stream without an end mark': {
    how: stream([ROLE, text('Hi'), FINISH], { done: false, encoding: 'gzip' }),
    streaming: true,
    keeps: true,
  },
  'a stream that ends with its connection': {
    how: stream([ROLE, text('Hi'), FINISH], { framing: 'close' }),
    streaming: true,
    keeps: false,
  },
  'a stream without a finish': {
    how: stream([ROLE, text('Hi')], { done: false }),
    streaming: true,
    keeps: true,
  },
  'a stream that is cut': { how: stream([ROLE, text('Hi'), close()]), streaming: true, keeps: false },
  'a stream with an error event': {
    how: stream([ROLE, text('Hi'), { error: { message: 'no' } }]),
    streaming: true,
    keeps: false,
  },
  'a packed stream that is damaged': {
    how: plain({
      text: 'not packed',
      headers: { 'content-type': 'text/event-stream', 'content-encoding': 'gzip' },
    }),
    streaming: true,
    keeps: true,
  },
  'a stream that is packed in an unknown way': {
    how: script(head(200, EVENT_STREAM), write('0123456789')),
    streaming: true,
    keeps: false,
  },
  'a stream that is a page': { how: htmlPage(200), streaming: true, keeps: true },
};

describe('nothing is left', () => {
  for (const [name, { how, streaming, keeps }] of Object.entries(ENDS)) {
    it(`of ${name}`, async (t) => {
      const rig = await startRig(t, { server: { heartbeat: '5s' } });
      for (let request = 1; request <= 3; request++) {
        rig.upstream.enqueue(how);
        const response = await rig.gateway.chat({ stream: streaming });
        await response.arrayBuffer();
        await rig.gateway.ended(request);
        await rig.nothingLeft();
      }
      if (keeps) assert.equal(rig.upstream.connections, 1, 'the connection is used again');
      else assert.ok(rig.upstream.openSockets <= 1);
    });
  }
});
