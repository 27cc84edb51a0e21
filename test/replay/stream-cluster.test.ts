import { after, describe } from 'node:test';
import { startRedisCluster } from '../support/redis-cluster.ts';
import { openGateway } from './stream-kit.ts';
import { describeStreams } from './stream-suite.ts';

const cluster = await startRedisCluster({ after }, { masters: 3, replicas: 0 });
const settings = { kind: 'cluster', urls: cluster.urls } as const;
const one = await openGateway({ after }, settings);
const another = await openGateway({ after }, settings);

describe('streams in a Redis Cluster, read elsewhere', () => {
  describeStreams({ here: one.streams, there: another.streams });
});
