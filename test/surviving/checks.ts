/** What holds of every run, whatever went wrong in it. */
import assert from 'node:assert/strict';
import { eventsOf, readStream } from '../native/clients.ts';
import type { RequestLine } from '../support/gateway.ts';
import { bare, numbersIn, type Seen, textIn, wholeEvents } from './clients.ts';
import { answersTo, type Given } from './speaker.ts';
import { isHedged, isShared } from './world.ts';

export type Line = RequestLine & { cache?: string; replayed?: true };

const STATUSES = new Set([200, 409, 422, 429, 502, 503, 504]);

/** What this client was told is one answer to what it asked, or the beginning of one, or an error. */
export function checkSeen(seen: Seen): void {
  const { status, text, left, asked, headers } = seen;
  if (status === null) {
    assert.ok(left);
  } else if (status !== 200) {
    assert.ok(STATUSES.has(status), `${status} ${text}`);
    if (!left) assert.match((JSON.parse(text) as { error: { message: string } }).error.message, /./);
    if (status === 409 || status === 422) assert.notEqual(seen.key, null, text);
  } else if (!asked.streamed) {
    if (!left) assert.ok(answersTo(seen.question).includes(textOfPlain(text)), text);
  } else {
    assert.match(headers.get('content-type') ?? '', /^text\/event-stream/);
    if (left) checkBeginning(seen, wholeEvents(text));
    else checkStream(seen, text);
    checkNumbers(seen, wholeEvents(text));
  }
  checkReturn(seen);
}

function checkBeginning({ question, asked }: Seen, text: string): void {
  const told = textIn(asked.client, text);
  assert.ok(
    answersTo(question).some((answer) => answer.startsWith(told)),
    text,
  );
}

/** A whole stream: well-formed, with an end that is one, and the text of one answer. */
function checkStream(seen: Seen, text: string): void {
  const { end, text: told } = readStream(seen.asked.client, eventsOf(bare(text)));
  const answers = answersTo(seen.question);
  if (end === 'finish') assert.ok(answers.includes(told), text);
  else
    assert.ok(
      answers.some((answer) => answer.startsWith(told)),
      text,
    );
  assert.equal(told, textIn(seen.asked.client, bare(text)));
}

/** Numbered from 1 without gaps for who asked for that, else not at all. */
function checkNumbers({ plan }: Seen, text: string, after = 0): void {
  const numbers = numbersIn(text);
  if (!plan.resume) {
    assert.deepEqual(numbers, []);
    return;
  }
  assert.equal(numbers.length, bare(text).split('\n\n').length - 1, text);
  assert.deepEqual(
    numbers,
    numbers.map((_, at) => after + at + 1),
  );
}

/** Who came back has all of it, once; and so has who reads it afterwards. */
function checkReturn(seen: Seen): void {
  const { rest, again, status, left, plan } = seen;
  if (rest !== null) {
    // One that left before it heard anything may not have been heard either, or was refused.
    if (status === 200) assert.equal(rest.status, 200, rest.text);
    if (rest.status !== 200) assert.equal(rest.status, 404, rest.text);
    else {
      // One that left at once may look for a stream whose name is being given up: that is told of, without a number.
      const isNone = status === null && isError(rest.text, rest.text);
      if (!isNone) checkNumbers(seen, rest.text, rest.after);
      const parts = wholeEvents(seen.text) + rest.text;
      if (!isError(rest.text, parts)) checkStream(seen, parts);
      if (again?.status === 200) assert.equal(bare(parts), bare(again.text));
    }
  }
  if (again === null) return;
  if (status === 200) assert.equal(again.status, 200, again.text);
  if (again.status !== 200) assert.equal(again.status, 404, again.text);
  else {
    const isNone = status === null && isError(again.text, again.text);
    if (!isNone) checkNumbers({ ...seen, plan: { ...plan, resume: true } }, again.text);
    if (!left && status === 200) assert.equal(bare(again.text), bare(seen.text));
    if (left && status === 200) assert.ok(bare(again.text).startsWith(bare(wholeEvents(seen.text))));
    if (!isError(again.text, again.text)) checkStream(seen, again.text);
  }
}

/** An error is all there is: one that came before the stream had begun. */
function isError(text: string, all: string): boolean {
  if (text !== all || bare(text).split('\n\n').length !== 2) return false;
  const { data } = eventsOf(bare(text))[0] ?? {};
  return data?.['error'] !== undefined || data?.['type'] === 'error';
}

function textOfPlain(text: string): string {
  interface Part {
    type: string;
    text: string;
  }
  const body = JSON.parse(text) as {
    choices?: { message: { content: string }; finish_reason: string }[];
    content?: Part[];
    output?: { content: Part[] }[];
  };
  if (body.choices !== undefined) {
    assert.deepEqual(
      body.choices.map((choice) => choice.finish_reason),
      ['stop'],
    );
    return body.choices[0]?.message.content ?? '';
  }
  const parts = body.content ?? body.output?.flatMap(({ content }) => content) ?? [];
  return parts.map((part) => part.text).join('');
}

// ------------------------------------------------------------------------------------------------------ of all of them together

/** Each has one line, whatever became of it. Some may have left before they were heard. */
export function checkLines(all: readonly Seen[], lines: readonly Line[]): Map<string, Line> {
  const byId = new Map<string, Line>();
  for (const line of lines) {
    assert.ok(!byId.has(line.id), `two lines: ${line.id}`);
    byId.set(line.id, line);
  }
  for (const seen of all) {
    const line = byId.get(seen.id);
    if (line === undefined) {
      assert.equal(seen.status, null, `no line: ${seen.id}`);
      continue;
    }
    assert.notEqual(line.outcome, 'superseded', `lost to nobody: ${JSON.stringify(line)}`);
    if (!seen.left) assert.equal(line.status, seen.status);
    if (!seen.left && seen.status === 200 && seen.asked.streamed) {
      const { end } = readStream(seen.asked.client, eventsOf(bare(seen.text)));
      assert.equal(line.outcome === 'ok', end === 'finish', JSON.stringify(line));
    }
    assert.equal(line.replayed === true, seen.left ? line.replayed === true : isReplayed(seen));
    if (line.cache === 'hit' || line.replayed) assert.equal(line.tokens, null);
  }
  return byId;
}

const isReplayed = (seen: Pick<Seen, 'headers'>) => seen.headers.get('x-spillway-replayed') === 'true';

/** Under each key there was one execution that was good, and whoever asked was given what that said. */
export function checkKeys(all: readonly Seen[], lines: Map<string, Line>, given: readonly Given[]): void {
  for (const [key, those] of Map.groupBy(all, (seen) => seen.key)) {
    if (key === null) continue;
    const good = those.filter((seen) => {
      const line = lines.get(seen.id);
      return line?.outcome === 'ok' && line.replayed !== true;
    });
    assert.ok(good.length <= 1, `${key} ran ${good.map(({ id }) => id)}`);
    const answered = those.filter(
      (seen) => !seen.left && seen.status === 200 && lines.get(seen.id)?.outcome === 'ok',
    );
    const told = new Set(answered.map((seen) => `${seen.body} ${bare(seen.text)}`));
    assert.ok(told.size <= 1, [...told].join('\nand\n'));
    const others = new Set(those.map(({ body }) => body));
    for (const { status, text } of those) if (status === 422) assert.ok(others.size > 1, text);
    // Where nobody left and nobody is asked twice, what was answered to its end at an upstream was an execution.
    const [first] = those as [Seen];
    const sameKey = all.filter((seen) => seen.question === first.question);
    if (
      others.size === 1 &&
      sameKey.length === those.length &&
      those.every(({ left }) => !left) &&
      !isHedged(first.model)
    ) {
      const own = those.map(({ id }) => lines.get(id));
      // One that was given up on may have been just about to end.
      const lost = own
        .flatMap((line) => line?.tries ?? [])
        .filter(({ outcome, status }) => outcome !== 'ok' && (status ?? 200) === 200);
      const whole = given.filter((one) => one.question === first.question);
      assert.ok(whole.length <= 1 + lost.length, `${key}: ${JSON.stringify([whole, own])}`);
    }
  }
}

/** Whoever asks once more is given what was answered, at both gateways, for nothing. */
export async function checkReplays(all: readonly Seen[], lines: Map<string, Line>): Promise<void> {
  for (const those of Map.groupBy(all, (seen) => seen.key).values()) {
    const isGood = (seen: Seen) => lines.get(seen.id)?.outcome === 'ok';
    const ran = those.find(
      (seen) => seen.key !== null && isGood(seen) && lines.get(seen.id)?.replayed !== true,
    );
    if (ran === undefined) continue;
    const told = those
      .filter((seen) => !seen.left && seen.status === 200 && isGood(seen))
      .map(({ text }) => bare(text));
    for (const gateway of [0, 1]) {
      const response = await ran.askAgain(gateway);
      const text = await response.text();
      assert.deepEqual([response.status, isReplayed(response)], [200, true], text);
      told.push(bare(text));
    }
    assert.equal(new Set(told).size, 1, told.join('\nand\n'));
  }
}

/** What the upstream answered once is known by its mark, which it says is its model. */
export function checkTenants(all: readonly Seen[]): number {
  const tenants = new Map<string, number>();
  let marks = 0;
  for (const seen of all) {
    if (seen.status !== 200 || isShared(seen.model)) continue;
    const mark = /"model":"(up-\d+)"/.exec(seen.text)?.[1];
    if (mark === undefined) continue;
    marks++;
    const before = tenants.get(mark) ?? seen.plan.tenant;
    assert.equal(before, seen.plan.tenant, `${mark} answered two tenants`);
    tenants.set(mark, before);
  }
  return marks;
}
