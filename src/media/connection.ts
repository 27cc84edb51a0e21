import type { LookupFunction, Socket } from 'node:net';
import { buildConnector, Client, type Dispatcher } from 'undici';

/** An address of a host, as the system's resolver gives it. */
export interface Address {
  address: string;
  family: number;
}

/** For one question to one host, at one of the addresses that were checked; whatever its name may resolve to by now. */
export class Connection {
  readonly #url: URL;
  readonly #client: Client;
  #socket: Socket | null = null;

  /** `ca`: PEM text of the only certificates to trust; undefined = the system's. */
  constructor(url: URL, addresses: readonly Address[], ca: string | undefined) {
    this.#url = url;
    const open = buildConnector({
      allowH2: false,
      timeout: 0,
      lookup: always(addresses),
      ...(ca === undefined ? {} : { ca }),
    });
    this.#client = new Client(url.origin, {
      pipelining: 1,
      headersTimeout: 0,
      bodyTimeout: 0,
      connect: (options, callback) => {
        // It does give the socket back, though its types do not say so.
        this.#socket = open(options, callback) as unknown as Socket;
      },
    });
  }

  async get(accept: string, signal: AbortSignal): Promise<Dispatcher.ResponseData> {
    const answer = await this.#client.request({
      method: 'GET',
      path: `${this.#url.pathname}${this.#url.search}`,
      headers: { accept, 'accept-encoding': 'identity', 'user-agent': 'spillway' },
      signal,
    });
    // Of one that is not read to its end.
    answer.body.on('error', () => {});
    return answer;
  }

  end(): void {
    // The client by itself would wait for a connection that is still being made.
    this.#socket?.destroy();
    this.#client.destroy().catch(() => {});
  }
}

function always(addresses: readonly Address[]): LookupFunction {
  return (_host, options, callback) => {
    const [first] = addresses;
    if (options.all) callback(null, [...addresses]);
    else callback(null, first?.address ?? '', first?.family);
  };
}
