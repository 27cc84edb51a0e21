/** Clients as they are planned: what each of them asks, and what it is told. */
import { keyOf } from '../gateways/kit.ts';
import { bodyOf, type Client, eventsOf, post } from '../native/clients.ts';
import type { Asked, Plan, RequestPlan } from './plans.ts';
import { put } from './speaker.ts';
import { MODELS, TENANTS, type World } from './world.ts';

/** No request takes so long. Milliseconds. */
const FOR_EVER = 15_000;

/** What a client came away with. */
export interface Seen {
  plan: RequestPlan;
  asked: Asked;
  question: number;
  /** `tenant key`; null: without. */
  key: string | null;
  id: string;
  model: string;
  /** Its dialect, and what it sent. */
  body: string;
  /** Asks the same, of that gateway. */
  askAgain(gateway: number): Promise<Response>;
  /** Null: it left before it was told. */
  status: number | null;
  headers: Headers;
  /** As it came, up to where it left. */
  text: string;
  left: boolean;
  /** What it was told when it came back. */
  rest: { status: number; text: string; after: number } | null;
  /** The whole stream, for another reader, afterwards. */
  again: { status: number; text: string } | null;
}

/** Questions of a run: those without a key, of each key, and what is asked under a key that is another's. */
const QUESTIONS = { own: 0, key: 3, other: 7, all: 10 };

/** Has all of them ask, and resolves to what they saw when the last has ended. */
export function runClients(world: World, plan: Plan, run: number): Promise<Seen[]> {
  return Promise.all(
    plan.requests.map((request, at) => within(runOne(world, plan, request, run, at), request)),
  );
}

async function runOne(
  world: World,
  plan: Plan,
  request: RequestPlan,
  run: number,
  at: number,
): Promise<Seen> {
  const { key, ownBody, tenant, resume } = request;
  const of = TENANTS[tenant] as string;
  const common = key !== null && !ownBody ? key : request.common;
  const asked = common === null ? request : (plan.common[common] as Asked);
  const place =
    key === null ? QUESTIONS.own + request.question : ownBody ? QUESTIONS.other : QUESTIONS.key + key;
  const question = run * QUESTIONS.all + place;
  const model = MODELS[asked.model] as string;
  const id = `r${run}-${at}`;
  const more = {
    ...sayingOf(asked.client, put(question)),
    ...(asked.client === 'messages' ? { max_tokens: 200 } : {}),
    ...(asked.streamed ? { stream: true } : {}),
    // Under a key, the same body is the same request.
    ...(model === 'headroom' && asked.client === 'chat' ? { user: `u${key ?? request.conversation}` } : {}),
  };
  const body = bodyOf(asked.client, model, more);
  const headers = {
    authorization: `Bearer ${keyOf(of)}`,
    'x-request-id': id,
    'x-conversation-id': `c${request.conversation}`,
    ...(key === null ? {} : { 'idempotency-key': `key-${run}-${key}` }),
    ...(resume ? { 'x-spillway-resume': 'true' } : {}),
    ...(request.cacheControl === null ? {} : { 'cache-control': request.cacheControl }),
  };
  const seen: Seen = {
    plan: request,
    asked,
    question,
    key: key === null ? null : `${of} ${key}`,
    id,
    model,
    body: `${asked.client} ${JSON.stringify(body)}`,
    askAgain: (at) =>
      post(world.gateways[at] as World['gateways'][0], asked.client, body, {
        headers: { ...headers, 'x-request-id': `${id}-again-${at}` },
      }),
    status: null,
    headers: new Headers(),
    text: '',
    left: false,
    rest: null,
    again: null,
  };
  await after(request.start);
  const gateway = world.gateways[request.gateway] as World['gateways'][0];
  await listen(seen, (signal) => post(gateway, asked.client, body, { headers, signal }));
  if (resume && asked.streamed && (seen.left || seen.status === 200)) {
    await comeBack(world, seen, headers.authorization);
  }
  return seen;
}

function sayingOf(client: Client, content: string): object {
  return client === 'responses' ? { input: content } : { messages: [{ role: 'user', content }] };
}

/** Reads the answer, to where the client leaves. */
async function listen(seen: Seen, ask: (signal: AbortSignal) => Promise<Response>): Promise<void> {
  const { leaves } = seen.plan;
  const leaving = new AbortController();
  const leave = () => {
    seen.left = true;
    leaving.abort();
  };
  const timer = leaves !== null && 'ms' in leaves ? setTimeout(leave, leaves.ms) : null;
  const enough = leaves !== null && 'events' in leaves ? leaves.events : Infinity;
  try {
    const response = await ask(leaving.signal);
    seen.status = response.status;
    seen.headers = response.headers;
    const decoder = new TextDecoder();
    for await (const bytes of response.body ?? []) {
      seen.text += decoder.decode(bytes, { stream: true });
      if (seen.text.split('\n\n').length > enough) break;
    }
    if (seen.text.split('\n\n').length > enough) leave();
  } catch (error) {
    if (!seen.left) throw new Error(`${seen.id} was cut off`, { cause: error });
  } finally {
    if (timer !== null) clearTimeout(timer);
  }
}

/** For the rest, from the other gateway; and once more for all of it, from this one. */
async function comeBack({ gateways }: World, seen: Seen, authorization: string): Promise<void> {
  const id = seen.headers.get('x-spillway-stream-id') ?? seen.id;
  const ask = (gateway: number, headers: Record<string, string>) =>
    fetch(`${(gateways[gateway] as World['gateways'][0]).origin}/v1/streams/${id}`, {
      headers: { authorization, ...headers },
    });
  const { plan } = seen;
  if (seen.left && plan.back) {
    const last = numbersIn(wholeEvents(seen.text)).at(-1) ?? 0;
    const response = await ask(1 - plan.gateway, last === 0 ? {} : { 'last-event-id': `${last}` });
    seen.rest = { status: response.status, text: await response.text(), after: last };
  }
  const response = await ask(plan.gateway, {});
  seen.again = { status: response.status, text: await response.text() };
}

async function within(work: Promise<Seen>, request: RequestPlan): Promise<Seen> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error(`this never ended: ${JSON.stringify(request)}`)), FOR_EVER);
  });
  try {
    return await Promise.race([work, late]);
  } finally {
    clearTimeout(timer);
  }
}

function after(ms: number): Promise<void> {
  return new Promise((resolve) => (ms === 0 ? resolve() : setTimeout(resolve, ms)));
}

/** What came of a stream without the event that did not come whole. */
export function wholeEvents(text: string): string {
  return text.slice(0, text.lastIndexOf('\n\n') + 2).replace(/^\n$/, '');
}

export function numbersIn(text: string): number[] {
  return [...text.matchAll(/^id: (\d+)$/gm)].map(([, number]) => Number(number));
}

/** The events themselves: without numbers, and without what only keeps a connection open. */
export function bare(text: string): string {
  return text
    .replaceAll(/^id: \d+\n/gm, '')
    .replaceAll(/^: .*\n\n/gm, '')
    .replaceAll('event: ping\ndata: {"type":"ping"}\n\n', '');
}

/** The text in a stream, or in the beginning of one. */
export function textIn(client: Client, text: string): string {
  let told = '';
  for (const { type, data } of eventsOf(text)) {
    if (data === null) continue;
    const { choices, delta } = data as { choices?: { delta: { content?: string } }[]; delta?: unknown };
    if (client === 'chat') told += choices?.map((choice) => choice.delta.content ?? '').join('') ?? '';
    else if (client === 'messages') told += (delta as { text?: string } | undefined)?.text ?? '';
    else if (type === 'response.output_text.delta') told += String(delta);
  }
  return told;
}
