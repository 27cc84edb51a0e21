import { createRequire } from 'node:module';

type Library = typeof import('ioredis');

const require = createRequire(import.meta.url);
let library: Library | null = null;

/** The client library, from the first connection on: it takes 10 MB, and a gateway that counts by itself has no use for it. */
export function ioredis(): Library {
  library ??= require('ioredis') as Library;
  return library;
}
