import type { Dispatcher } from 'undici';
import type { CancelListener, Cancellation } from '../core/cancellation.ts';
import type { Clock, Timer } from '../core/clock.ts';

/** Of the sockets, this part is kept for tenants that hold less than an equal share of them. None of fewer than ten. */
const RESERVED = 0.1;

/** What a wait for a socket is bound by. */
export interface SocketWait {
  clock: Clock;
  cancellation: Cancellation;
  /** Milliseconds at most. */
  ms: number;
}

/**
 * The sockets to one host, and who has them. A try holds one from before it is sent until its body is through or broken off, so nobody waits
 * inside of undici, in one line for all; nor is there anything to be searched for one that is free, however many are in use.
 *
 * Where none is free tenants are served in turn, each one's tries in the order in which they came. A tenant may take every socket as long as no
 * other one has asked for any; from then on the last tenth is for those that hold less than an equal share, so streams that last for long leave
 * room for the others. Costs a try that need not wait a look-up and two additions.
 *
 * Remembers no more tenants than there are sockets, beside those that hold one or wait.
 */
export class Sockets {
  readonly limit: number;
  /** As many may be in use whoever asks. */
  readonly #common: number;
  /** Makes what sends over one socket, and connects it when it is first used. */
  readonly #open: () => Dispatcher;
  /** The one that was used last is the first to be used again: what is not needed any more ends by itself. */
  readonly #idle: Socket[] = [];
  readonly #shares = new Map<string, SocketShare>();
  /** The shares that somebody waits for, the one whose turn it is first. */
  readonly #turns = new Set<SocketShare>();
  #inUse = 0;
  #waiting = 0;

  constructor(limit: number, open: () => Dispatcher) {
    this.limit = limit;
    this.#open = open;
    this.#common = limit - Math.floor(limit * RESERVED);
  }

  get inUse(): number {
    return this.#inUse;
  }

  /** Tries that wait for one. */
  get waiting(): number {
    return this.#waiting;
  }

  /** Tenants that have asked for one, and are still known. */
  get remembered(): number {
    return this.#shares.size;
  }

  /** Takes a socket, which is to be given back once. Null: there is none for this tenant now. */
  take(tenant: string): Socket | null {
    const share = this.#shareOf(tenant);
    // Whoever waits may have none either: so nobody is overtaken by one of the same tenant.
    return this.#mayHave(share) ? this.#give(share) : null;
  }

  /** Waits for one in turn, where `take` gave none. Null: the time is over, or the work was cancelled. */
  wait(tenant: string, { clock, cancellation, ms }: SocketWait): Promise<Socket | null> {
    if (cancellation.reason !== null || ms <= 0) return Promise.resolve(null);
    return new Promise((resolve) => {
      const share = this.#shareOf(tenant);
      const waiter = new Waiter(share, cancellation, resolve);
      this.#waiting++;
      share.waiters.add(waiter);
      this.#turns.add(share);
      waiter.timer = clock.schedule(ms, () => waiter.end(null));
      cancellation.add(waiter);
    });
  }

  /** For sockets: this one is free again. */
  freed(socket: Socket): void {
    const { share } = socket;
    this.#idle.push(socket);
    this.#inUse--;
    share.held--;
    this.#forgetIdle(share);
    while (this.#turns.size > 0 && this.#serveNext());
  }

  /** For shares: one waits no more. */
  unqueued(share: SocketShare): void {
    this.#waiting--;
    if (share.waiters.size > 0) return;
    this.#turns.delete(share);
    this.#forgetIdle(share);
  }

  /** False: there is none for any who wait. */
  #serveNext(): boolean {
    if (this.#inUse >= this.limit) return false;
    for (const share of this.#turns) {
      if (!this.#mayHave(share)) continue;
      const [waiter] = share.waiters as Set<Waiter>;
      // To the end of the turns, if it is still among them.
      this.#turns.delete(share);
      if (share.waiters.size > 1) this.#turns.add(share);
      (waiter as Waiter).end(this.#give(share));
      return true;
    }
    return false;
  }

  #give(share: SocketShare): Socket {
    this.#inUse++;
    share.held++;
    const socket = this.#idle.pop();
    if (socket === undefined) return new Socket(this, this.#open(), share);
    socket.share = share;
    return socket;
  }

  #mayHave({ held }: SocketShare): boolean {
    if (this.#inUse < this.#common) return true;
    return this.#inUse < this.limit && held * this.#shares.size < this.limit;
  }

  #shareOf(tenant: string): SocketShare {
    let share = this.#shares.get(tenant);
    if (share === undefined) {
      share = new SocketShare(this, tenant);
      this.#shares.set(tenant, share);
    }
    return share;
  }

  /** Else it is kept, so that one request after the other need not make it anew. */
  #forgetIdle({ held, waiters, tenant }: SocketShare): void {
    if (held === 0 && waiters.size === 0 && this.#shares.size > this.limit) this.#shares.delete(tenant);
  }
}

/** One socket. It is there when something is sent, and may end and be made again between one try and the next. */
export class Socket {
  readonly dispatcher: Dispatcher;
  /** Whose share it is in. */
  share: SocketShare;
  readonly #sockets: Sockets;

  constructor(sockets: Sockets, dispatcher: Dispatcher, share: SocketShare) {
    this.#sockets = sockets;
    this.dispatcher = dispatcher;
    this.share = share;
  }

  /** It is not used any more. Exactly once for each time that it was taken. */
  giveBack(): void {
    this.#sockets.freed(this);
  }
}

/** What one tenant has of the sockets. */
class SocketShare {
  readonly tenant: string;
  held = 0;
  /** In the order in which they came. */
  readonly waiters = new Set<Waiter>();
  readonly #sockets: Sockets;

  constructor(sockets: Sockets, tenant: string) {
    this.#sockets = sockets;
    this.tenant = tenant;
  }

  /** For those who wait: this one waits no more. */
  unqueue(waiter: Waiter): void {
    if (this.waiters.delete(waiter)) this.#sockets.unqueued(this);
  }
}

class Waiter implements CancelListener {
  timer: Timer | null = null;
  readonly #share: SocketShare;
  readonly #cancellation: Cancellation;
  readonly #resolve: (socket: Socket | null) => void;

  constructor(share: SocketShare, cancellation: Cancellation, resolve: (socket: Socket | null) => void) {
    this.#share = share;
    this.#cancellation = cancellation;
    this.#resolve = resolve;
  }

  cancelled(): void {
    this.end(null);
  }

  /** Null: it goes without. */
  end(result: Socket | null): void {
    this.timer?.cancel();
    this.#cancellation.remove(this);
    this.#share.unqueue(this);
    this.#resolve(result);
  }
}
