import { after } from 'node:test';
import { startRedis } from '../support/redis.ts';
import { openRig } from './redis-rig.ts';
import { storeSuite } from './store-suite.ts';

const redis = await startRedis({ after });

storeSuite('the store in Redis', (t) => openRig(t, [redis], redis.url), true);
