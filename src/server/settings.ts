export interface Address {
  host: string;
  /** 0 = a free one. */
  port: number;
}

/** Of the client listener. Sizes in bytes, times in milliseconds. */
export interface ServerSettings {
  /** Processes that share the port; `auto`: as many as there are cores. */
  workers: number | 'auto';
  maxBody: number;
  maxInFlight: number;
  drainTimeout: number;
  /** 0 = never. */
  heartbeat: number;
  /** Client headers that go on to the upstream, in lower case. */
  forwardHeaders: readonly string[];
  /** PEM texts; null = plain HTTP. */
  tls: { cert: string; key: string } | null;
}
