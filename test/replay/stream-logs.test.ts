import { after, describe } from 'node:test';
import { systemClock } from '../../src/core/clock.ts';
import { MemoryStreams } from '../../src/replay/memory-streams.ts';
import { startRedis } from '../support/redis.ts';
import { openGateway } from './stream-kit.ts';
import { describeStreams } from './stream-suite.ts';

const redis = await startRedis({ after });
const alone = await openGateway({ after }, redis.url, { prefix: 'same' });
const options = { prefix: 'other', secret: 'of all gateways' };
const one = await openGateway({ after }, redis.url, options);
const another = await openGateway({ after }, redis.url, options);

describe('streams in memory', () => {
  const streams = new MemoryStreams(systemClock);
  after(() => streams.close());
  describeStreams({ here: streams, there: streams });
});

describe('streams in Redis, read where they are written', () => {
  describeStreams({ here: alone.streams, there: alone.streams });
});

describe('streams in Redis, read elsewhere', () => {
  describeStreams({ here: one.streams, there: another.streams });
});
