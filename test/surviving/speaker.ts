/** Upstreams that do as they like, but whose answers follow from what they are asked. */
import type { JsonObject } from '../../src/core/json.ts';
import {
  apiError,
  chatAnswer,
  chatEvents,
  close,
  head,
  pauseUntil,
  plain,
  reset,
  type Script,
  type StreamItem,
  silence,
  stream,
  type UpstreamRequest,
  write,
} from '../support/upstream.ts';
import type { Behaviour } from './plans.ts';

const WORDS =
  'rain fell in torrents, except at Grüße 🙂 occasional intervals when it was checked by\n\n a wind'.split(
    ' ',
  );
const ALIKE = 40;

/** The two answers that a question may have; they begin alike. */
export function answersTo(question: number): readonly [string, string] {
  const words = [`It is ${question}:`];
  // Any mixture will do that differs from question to question.
  let state = question * 2_654_435_761 + 1;
  for (let i = 0; i < 18; i++) {
    state = (state * 1_103_515_245 + 12_345) % 2 ** 31;
    words.push(WORDS[state % WORDS.length] as string);
  }
  const one = `${words.join(' ')}.`;
  return [one, `${one.slice(0, ALIKE)}~ or else not.`];
}

/** How a question is put, in whatever dialect. */
export function put(question: number): string {
  return `This is question ${question}, is it not?`;
}

/** One answer that was given to its end. */
export interface Given {
  question: number;
  mark: string;
}

/** Stands behind all the upstreams: says what each request is answered with, and remembers. */
export class Speaker {
  behaviours: readonly Behaviour[] = [];
  /** What should not have been asked. */
  readonly wrong: string[] = [];
  given: Given[] = [];
  asked = 0;

  answer(request: UpstreamRequest): Script {
    const number = this.asked++;
    const how = this.behaviours[number % this.behaviours.length] as Behaviour;
    const body = request.json();
    const question = Number(/question (\d+),/.exec(request.body.toString())?.[1]);
    if (Number.isNaN(question)) this.wrong.push(`no question: ${request.body}`);
    return [after(how.slow), this.#script(how, body, question, `up-${number}`)];
  }

  #script(how: Behaviour, body: JsonObject, question: number, mark: string): Script {
    const streamed = body['stream'] === true;
    switch (how.fault) {
      case '429':
        return apiError(429);
      case '429 with a wait':
        return apiError(429, {}, { 'retry-after-ms': '40' });
      case '500':
        return apiError(500);
      case '503':
        return apiError(503);
      case 'no streams now':
        if (streamed) return apiError(503);
        break;
      case 'reset':
        return reset();
      case 'silence':
        return silence();
    }
    const given = this.#prefillOf(body, question);
    if (given !== null && how.prefill === 'refuses') return apiError(400, { message: 'no prefill here' });
    const whole = this.#wholeFor(how, question, given);
    // A word or two that come again are not known from what a model may write.
    const repeats = given === null || (how.prefill === 'repeats' && given.length >= 24);
    const text = repeats ? whole : whole.slice(given.length);
    const usage = how.usage
      ? { prompt_tokens: 10 + (question % 7), completion_tokens: 1 + text.length }
      : null;
    const told = { content: text, model: mark, id: `chatcmpl-${mark}`, usage };
    const done = () => {
      this.given.push({ question, mark });
    };
    if (!streamed || how.fault === 'plain') return plainAnswer(how, chatAnswer(told), done);
    const content: string[] = [];
    for (let from = 0, turn = 0; from < text.length; turn++) {
      const length = how.pieces[turn % how.pieces.length] as number;
      content.push(text.slice(from, from + length));
      from += length;
    }
    const events = chatEvents({ ...told, content, finish: how.fault === 'no finish' ? null : 'stop' });
    const faulty = faultsOf(how);
    const sent = faulty === null ? events : [...events.slice(0, how.at), ...faulty];
    const paced = how.trickle === 0 ? sent : sent.flatMap((event) => [after(how.trickle), event]);
    const isWhole = faulty === null && how.fault !== 'no finish';
    return [stream(paced, { done: isWhole }), ...(isWhole ? [done] : [])];
  }

  #prefillOf(body: JsonObject, question: number): string | null {
    const last = (body['messages'] as JsonObject[]).at(-1);
    if (last?.['role'] !== 'assistant') return null;
    const given = typeof last['content'] === 'string' ? last['content'] : JSON.stringify(last['content']);
    if (!answersTo(question).some((answer) => answer.startsWith(given))) {
      this.wrong.push(`no beginning of an answer to ${question}: ${given}`);
    }
    return given;
  }

  /** One that was given the beginning of an answer goes on as that does. */
  #wholeFor(how: Behaviour, question: number, given: string | null): string {
    const [one, other] = answersTo(question);
    if (given === null || (one.startsWith(given) && other.startsWith(given))) return how.other ? other : one;
    return one.startsWith(given) ? one : other;
  }
}

function plainAnswer(how: Behaviour, good: Script, done: () => void): Script {
  switch (how.fault) {
    case 'headers, then silence':
    case 'stall':
      return [head(200, { 'content-type': 'application/json', 'content-length': '500' }), silence()];
    case 'cut':
      return [
        head(200, { 'content-type': 'application/json', 'content-length': '500' }),
        write('{"id":'),
        close(),
      ];
    case 'reset in the middle':
      return [
        head(200, { 'content-type': 'application/json', 'content-length': '500' }),
        write('{"id":'),
        reset(),
      ];
    case 'error in it':
    case 'error event':
      return plain({ json: { error: { message: 'overloaded', code: 529 } } });
    case 'no finish':
      return plain({ json: { id: 'x', object: 'chat.completion', choices: [] } });
    default:
      return [good, done];
  }
}

/** What comes in the middle of a stream and ends it; null: nothing does. */
function faultsOf(how: Behaviour): StreamItem[] | null {
  switch (how.fault) {
    case 'cut':
      return [close()];
    case 'reset in the middle':
      return [reset()];
    case 'stall':
    case 'headers, then silence':
      return [silence()];
    case 'error in it':
      return [{ error: { message: 'overloaded', code: 529 } }];
    case 'error event':
      return ['event: error\ndata: {"error":{"message":"x"}}'];
    default:
      return null;
  }
}

function after(ms: number) {
  return ms === 0 ? () => {} : pauseUntil(new Promise((resolve) => setTimeout(resolve, ms)));
}
