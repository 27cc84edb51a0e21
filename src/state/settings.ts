/** Where shared state is kept. */
export interface StateSettings {
  /** Null = in this process. */
  redis: RedisSettings | null;
  keyPrefix: string;
  /** How long one command may take. Milliseconds. */
  commandTimeout: number;
  onOutage: 'local' | 'deny' | 'allow';
}

/** `redis://` and `rediss://` URLs, with user, password and database where there are any. */
export type RedisSettings =
  | { kind: 'single'; url: string }
  | { kind: 'cluster'; urls: readonly string[] }
  | {
      kind: 'sentinel';
      sentinels: readonly string[];
      /** What the sentinels call the master. */
      name: string;
      /** Of the master itself. */
      username: string | null;
      password: string | null;
      database: number;
      tls: boolean;
    };
