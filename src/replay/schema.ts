import { z } from 'zod';
import { duration, secret, sizeUpTo } from '../schema/kit.ts';
import type { IdempotencySettings } from './settings.ts';

/** Each is copied as it passes, written to Redis in one piece, and held here until it is there. Bytes. */
const LARGEST = 16 * 1024 * 1024;

export const idempotencySchema = z
  .strictObject({
    ttl: duration()
      .prefault('24h')
      .describe('how long the answer to a request with an `Idempotency-Key` is kept'),
    max_body: sizeUpTo(LARGEST).prefault('1mb').describe('a larger answer is not kept; 16mb at most'),
    encryption_key: secret()
      .prefault('')
      .describe(
        'a text that all gateways share: answers are kept in Redis encrypted with it; empty = as they are',
      ),
  })
  .prefault({});

export function toIdempotencySettings(file: z.output<typeof idempotencySchema>): IdempotencySettings {
  return {
    ttl: file.ttl,
    maxBody: file.max_body,
    encryptionKey: file.encryption_key === '' ? null : file.encryption_key,
  };
}
