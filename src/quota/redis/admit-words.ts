import { DIMENSIONS } from '../dimensions.ts';
import type { Limit } from '../limits.ts';
import type { Admission, Demand, Standing, Verdict } from '../store.ts';
import { numberOf, whole } from './keys.ts';

/** What the script is told of the admissions in one call, after time, gateway and lease: see `lua-admit.ts`. */
export function wordsOf(admissions: readonly Admission[]): (string | number)[] {
  // By identity: one tenant's requests are mostly of the same limits, and two of one name may be of two configurations.
  const numbers = new Map<Limit, number>();
  const limits: (string | number)[] = [];
  const asked: string[] = [];
  for (const { id, demands } of admissions) {
    let word = '';
    for (const { limit, amount } of demands) {
      let number = numbers.get(limit);
      if (number === undefined) {
        number = numbers.size + 1;
        numbers.set(limit, number);
        const place = DIMENSIONS[limit.of].booking === 'count' ? 1 : 2;
        limits.push(limit.id, numberOf(limit.per), limit.max, place);
      }
      word += `${number} ${whole(amount)} `;
    }
    asked.push(id, word);
  }
  return [numbers.size, ...limits, ...asked];
}

/** Its answer, number by number. */
export class Answer {
  readonly #numbers: readonly string[];
  #next = 0;

  constructor(text: unknown) {
    this.#numbers = String(text).split(' ');
  }

  number(): number {
    return Number(this.#numbers[this.#next++]);
  }

  verdict({ tenant, id, demands }: Admission): Verdict {
    const kind = this.number();
    const at = this.number();
    const standings = demands.map((demand) => this.#standing(demand));
    return kind === 1
      ? { kind: 'admitted', standings, ticket: { tenant, id, at, demands, held: true } }
      : { kind: 'refused', standings };
  }

  #standing({ limit }: Demand): Standing {
    const used = this.number();
    const reserved = this.number();
    const room = this.number();
    const resetsIn = this.number();
    return { used, reserved, roomIn: room < 0 ? null : room, resetsIn: limit.per === null ? null : resetsIn };
  }
}
