import { z } from 'zod';
import { duration, secret, size } from '../schema/kit.ts';
import type { IdempotencySettings } from './settings.ts';

export const idempotencySchema = z
  .strictObject({
    ttl: duration()
      .prefault('24h')
      .describe('how long the answer to a request with an `Idempotency-Key` is kept'),
    max_body: size().prefault('1mb').describe('a larger answer is not kept'),
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
