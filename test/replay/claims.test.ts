import { after } from 'node:test';
import { startRedis } from '../support/redis.ts';
import { memoryRig, redisRig } from './claims-kit.ts';
import { claimsSuite } from './claims-suite.ts';

const redis = await startRedis({ after });

claimsSuite('claims in memory', memoryRig);
claimsSuite('claims in Redis', (t) => redisRig(t, redis.url));
