/** `idempotency`. */
export interface IdempotencySettings {
  /** How long an answer is kept. Milliseconds. */
  ttl: number;
  /** A larger answer is not kept. Bytes. */
  maxBody: number;
  /** What all that is kept of answers in Redis is encrypted with; null = nothing is. */
  encryptionKey: string | null;
}
