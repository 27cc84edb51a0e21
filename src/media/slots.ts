/** Somebody who takes places. */
interface Owner {
  held: number;
  /** In the order in which they came. */
  waiting: Set<() => void>;
}

/**
 * So many at a time, shared by owners who take turns. Nobody holds more than are left free: alone one has half of them, two that want all of them have about a
 * third each, and there is one left for the next who comes.
 */
export class Slots {
  #free: number;
  /** Those who hold or wait for one; whose turn is next comes first. */
  readonly #owners = new Map<string, Owner>();

  constructor(count: number) {
    this.#free = count;
  }

  /** Resolves with what gives the place back; rejects with the signal's reason as soon as that is aborted. */
  take(name: string, signal: AbortSignal): Promise<() => void> {
    return new Promise((resolve, reject) => {
      if (signal.aborted) return reject(signal.reason);
      const owner = this.#owner(name);
      const enter = () => {
        signal.removeEventListener('abort', leave);
        let taken = true;
        resolve(() => {
          if (taken) this.#giveBack(name, owner);
          taken = false;
        });
      };
      const leave = () => {
        owner.waiting.delete(enter);
        this.#forget(name, owner);
        reject(signal.reason);
      };
      owner.waiting.add(enter);
      signal.addEventListener('abort', leave, { once: true });
      this.#serve();
    });
  }

  #owner(name: string): Owner {
    let owner = this.#owners.get(name);
    if (owner === undefined) {
      owner = { held: 0, waiting: new Set() };
      this.#owners.set(name, owner);
    }
    return owner;
  }

  #giveBack(name: string, owner: Owner): void {
    owner.held--;
    this.#free++;
    this.#hadTurn(name, owner);
    this.#forget(name, owner);
    this.#serve();
  }

  #hadTurn(name: string, owner: Owner): void {
    this.#owners.delete(name);
    this.#owners.set(name, owner);
  }

  #forget(name: string, owner: Owner): void {
    if (owner.held === 0 && owner.waiting.size === 0) this.#owners.delete(name);
  }

  /** Gives out what may be given, one place to each owner in turn. */
  #serve(): void {
    for (let served = true; served; ) {
      served = false;
      for (const [name, owner] of [...this.#owners]) {
        const [enter] = owner.waiting;
        if (enter === undefined || owner.held >= this.#free) continue;
        owner.waiting.delete(enter);
        owner.held++;
        this.#free--;
        this.#hadTurn(name, owner);
        enter();
        served = true;
      }
    }
  }
}
