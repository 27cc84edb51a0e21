import type { PartSpent, Spent, Usage } from '../core/usage.ts';
import type { TargetSettings } from '../routing/target.ts';
import { type Contribution, sharesOf } from '../upstream/continuing/contribution.ts';
import type { Part } from './continued-stream.ts';
import type { Spending } from './spending.ts';

/** A part that is over: it broke. */
interface Written {
  target: TargetSettings;
  /** As the upstream told; of what broke, seldom more than the prompt's. */
  reported: Usage | null;
  /** Tokens that went to the client. */
  output: number;
}

/** The part that is being written. */
interface Last {
  target: TargetSettings;
  reported: Usage | null;
  contribution: Contribution | null;
  whole: boolean;
}

/** What an answer takes that several targets write: the prompt once, by the word of the first; of the output each what went to the client. */
export class Parts {
  readonly #spending: Spending;
  readonly #written: Written[] = [];
  /** Of the first. */
  #first: Usage | null = null;
  #toldThoughts = false;
  /** The part that broke last. */
  #broken: Part['stream'] | null = null;

  constructor(spending: Spending) {
    this.#spending = spending;
  }

  /** How many tokens the client has been told, as estimated. */
  get told(): number {
    return this.#written.reduce((sum, { output }) => sum + output, 0);
  }

  /** This part broke. */
  broke({ target, stream }: Part): void {
    this.#broken = stream;
    const { settings, adapter } = target;
    const { usage: reported, continuation } = stream;
    this.#toldThoughts ||= stream.transcript?.reasoning === true;
    let output: number;
    if (this.#first === null) {
      const surely = adapter.countsSurely === true;
      const passed = () => stream.passed;
      this.#first = this.#spending.spent(settings, { reported, surely, passed, whole: false }).usage;
      output = this.#first.output;
    } else output = this.#outputOf({ target: settings, reported, contribution: continuation, whole: false });
    this.#written.push({ target: settings, reported, output });
  }

  /** What the answer took when this was its last part. */
  spentUpTo({ stream, target: { settings: target } }: Part, whole: boolean): Spent {
    if (stream === this.#broken) return this.spent(null);
    const { usage: reported, continuation: contribution } = stream;
    return this.spent({ target, reported, contribution, whole });
  }

  /** What the answer took, with what the last part has brought; null: all that there is broke. Cost in nanodollars. */
  spent(last: Last | null): Spent {
    const { written, exact } = this.#refined(last);
    const { input, isKnown } = this.#input(last);
    const all = [...written];
    if (last !== null)
      all.push({ target: last.target, reported: last.reported, output: this.#outputOf(last) });
    const parts = all.map((part, index) => this.#priced(part, index === 0, input));
    const costs = parts.map(({ cost }) => cost);
    const sum = all.reduce((tokens, part) => tokens + part.output, 0);
    const first = this.#first as Usage;
    const saved = parts[0]?.cacheSaved;
    return {
      usage: { ...first, input, output: sum, reasoning: Math.min(first.reasoning, sum) },
      estimated: !(exact && isKnown),
      cost: costs.includes(null) ? null : costs.reduce<number>((total, cost) => total + (cost ?? 0), 0),
      ...(saved === undefined ? {} : { cacheSaved: saved }),
      parts: parts.map(({ target, usage, cost }) => ({ target, usage, cost })),
    };
  }

  #outputOf({ reported, contribution, whole }: Last): number {
    if (contribution === null || contribution.passed.characters === 0) return 0;
    const counted = this.#spending.outputTokens(contribution.passed);
    const shares = sharesOf(contribution, reported);
    if (shares === null) return counted;
    return whole ? shares.passed : Math.max(shares.passed, counted);
  }

  /**
   * What the parts that broke wrote is only estimated. A target that gave all of the answer again says how many tokens that is; where they were told no
   * thoughts, which it would not know of, its word is the better one.
   */
  #refined(last: Last | null): { written: readonly Written[]; exact: boolean } {
    const shares =
      last?.whole === true && last.contribution?.how === 'again'
        ? sharesOf(last.contribution, last.reported)
        : null;
    const estimate = this.told;
    if (shares === null || this.#toldThoughts || estimate === 0)
      return { written: this.#written, exact: false };
    let before = 0;
    let given = 0;
    const written = this.#written.map((part) => {
      before += part.output;
      const upTo = Math.round((shares.told * before) / estimate);
      const output = upTo - given;
      given = upTo;
      return { ...part, output };
    });
    return { written, exact: true };
  }

  /** Tokens of the prompt: by the word of the first, else by that of the last, who was given what was told on top if it went on from there. */
  #input(last: Last | null): { input: number; isKnown: boolean } {
    const { reported = null, contribution } = last ?? {};
    const told = this.#written[0]?.reported?.input ?? 0;
    if (told > 0) return { input: told, isKnown: true };
    if (reported !== null && reported.input > 0) {
      const beside = contribution?.how === 'prefill' ? this.told : 0;
      return { input: Math.max(1, reported.input - beside), isKnown: beside === 0 };
    }
    return { input: (this.#first as Usage).input, isKnown: false };
  }

  /** Whoever went on is paid for the output; how dear that is may depend on how long the prompt was. */
  #priced(
    { target, reported, output }: Written,
    isFirst: boolean,
    input: number,
  ): PartSpent & Pick<Spent, 'cacheSaved'> {
    const spending = this.#spending;
    if (isFirst) {
      const usage = { ...(this.#first as Usage), input, output };
      return { target: target.id, usage, ...spending.priced(target, usage) };
    }
    const prompt = { ...NOTHING, input: reported?.input || input };
    const whole = spending.priced(target, { ...prompt, output }).cost;
    const unwritten = spending.priced(target, prompt).cost;
    const cost = whole === null || unwritten === null ? null : whole - unwritten;
    return { target: target.id, usage: { ...NOTHING, output }, cost };
  }
}

const NOTHING: Usage = { input: 0, output: 0, cached: 0, cacheWrite: 0, reasoning: 0 };
