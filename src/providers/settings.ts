/** One entry under `providers`, resolved. */
export interface ProviderSettings {
  id: string;
  /** A name in the table of adapters. */
  adapter: string;
  /** Without a trailing slash. */
  baseUrl: string;
  /** At least one; null = the host wants none. */
  apiKeys: readonly (string | null)[];
  /** Sent with every call; names in lower case. */
  headers: Readonly<Record<string, string>>;
  /** An HTTP proxy's URL; null = what the environment says. */
  proxy: string | null;
  /** PEM text of certificates to trust besides the system's. */
  ca: string | null;
  /** Sockets per origin. */
  connections: number;
  /** `bedrock`: the region; null = not given. */
  region: string | null;
  /** `azure`: the resource. */
  resource: string | null;
  /** `azure`: the deployment of each model; others are called by their own name. */
  deployments: Readonly<Record<string, string>>;
  /** `azure`: given, classic URLs are called, with this version. */
  apiVersion: string | null;
  /** `vertex`: the project. */
  project: string | null;
  /** `vertex`: the location. */
  location: string | null;
}
