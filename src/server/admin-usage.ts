import { Readable } from 'node:stream';
import type { FastifyReply, FastifyRequest } from 'fastify';
import { ApiError } from '../core/errors.ts';
import { nearest } from '../core/nearest.ts';
import { GROUPINGS, type Grouping, type UsageQuery, type UsageReport } from '../pipeline/usage-report.ts';
import { asCsv, asJson } from './usage-format.ts';

export interface UsageHandlers {
  /** Milliseconds since 1970. */
  wall(): number;
  usage(query: UsageQuery): Promise<UsageReport>;
}

/** What one answer may cover. */
const MOST_DAYS = 400;
const DAY = 86_400_000;
const DEFAULT_BY: readonly Grouping[] = ['day', 'tenant', 'model'];
const FILTERS = ['tenant', 'key', 'model', 'provider', 'target'] as const;
const FORMATS = ['json', 'csv'] as const;
const PARAMETERS = ['from', 'to', 'by', ...FILTERS, 'format'] as const;

type Parameter = (typeof PARAMETERS)[number];
type Parameters = Readonly<Partial<Record<Parameter, string>>>;

/** `GET /admin/usage`: what an operator bills from. */
export function answerUsage(handlers: UsageHandlers) {
  return async (request: FastifyRequest, reply: FastifyReply): Promise<FastifyReply> => {
    const parameters = readParameters(request.query as Readonly<Record<string, unknown>>);
    const query = readQuery(parameters, handlers.wall());
    const format = readFormat(parameters.format) ?? (prefersCsv(request.headers.accept) ? 'csv' : 'json');
    const report = await handlers.usage(query);
    reply.header('vary', 'accept').header('cache-control', 'no-store');
    if (format === 'json') {
      return reply.type('application/json; charset=utf-8').send(Readable.from(asJson(query, report)));
    }
    const name = `spillway-usage-${query.days[0]}-${query.days.at(-1)}.csv`;
    return reply
      .type('text/csv; charset=utf-8; header=present')
      .header('content-disposition', `attachment; filename="${name}"`)
      .send(Readable.from(asCsv(query, report)));
  };
}

function readParameters(query: Readonly<Record<string, unknown>>): Parameters {
  const parameters: Partial<Record<Parameter, string>> = {};
  for (const [name, value] of Object.entries(query)) {
    if (!isOneOf(PARAMETERS, name)) {
      throw wrong(name, `There is no parameter "${name}"${didYouMean(name, PARAMETERS)}`);
    }
    if (typeof value !== 'string') throw wrong(name, `\`${name}\` is given more than once.`);
    if (value === '') throw wrong(name, `\`${name}\` has no value.`);
    parameters[name] = value;
  }
  return parameters;
}

function readQuery(parameters: Parameters, now: number): UsageQuery {
  const only = Object.fromEntries(
    FILTERS.flatMap((name) => (parameters[name] === undefined ? [] : [[name, parameters[name]]])),
  );
  return { days: readDays(parameters, now), by: readBy(parameters.by), only };
}

/** `to` left out: today. `from` left out: the same day. */
function readDays({ from, to }: Parameters, now: number): string[] {
  const last = to === undefined ? Math.floor(now / DAY) : readDay('to', to);
  const first = from === undefined ? last : readDay('from', from);
  if (first > last) {
    const today = to === undefined ? ' (today, since it is left out)' : '';
    throw wrong('from', `\`from\` is ${written(first)}, after \`to\`, which is ${written(last)}${today}.`);
  }
  const count = last - first + 1;
  if (count > MOST_DAYS) {
    throw wrong('from', `At most ${MOST_DAYS} days can be asked for at once; these are ${count}.`);
  }
  return Array.from({ length: count }, (_, i) => written(first + i));
}

/** Days since 1970. */
function readDay(name: 'from' | 'to', text: string): number {
  const day = /^\d{4}-\d{2}-\d{2}$/.test(text) ? Date.parse(text) / DAY : Number.NaN;
  // 30 February is read as 2 March.
  if (Number.isNaN(day) || written(day) !== text) {
    throw wrong(name, `\`${name}\` must be a date (UTC) such as 2026-11-22, not "${text}".`);
  }
  return day;
}

function written(day: number): string {
  return new Date(day * DAY).toISOString().slice(0, 10);
}

function readBy(text: string | undefined): readonly Grouping[] {
  if (text === undefined) return DEFAULT_BY;
  const by: Grouping[] = [];
  for (const name of text.split(',')) {
    if (!isOneOf(GROUPINGS, name)) {
      throw wrong('by', `Usage cannot be summed up by "${name}"${didYouMean(name, GROUPINGS)}`);
    }
    if (by.includes(name)) throw wrong('by', `\`by\` names ${name} twice.`);
    by.push(name);
  }
  return by;
}

function readFormat(text: string | undefined): 'json' | 'csv' | null {
  if (text === undefined) return null;
  if (isOneOf(FORMATS, text)) return text;
  throw wrong('format', `There is no format "${text}"${didYouMean(text, FORMATS)}`);
}

/** Whoever names CSV wants it, unless JSON is named and worth as much. */
function prefersCsv(accept = ''): boolean {
  const weightOf = (wanted: string) => {
    for (const range of accept.split(',')) {
      const [type = '', ...parameters] = range.split(';').map((part) => part.trim().toLowerCase());
      if (type !== wanted) continue;
      const weight = parameters.find((parameter) => parameter.startsWith('q='));
      return weight === undefined ? 1 : Number(weight.slice(2));
    }
    return 0;
  };
  return weightOf('text/csv') > weightOf('application/json');
}

function isOneOf<T extends string>(names: readonly T[], name: string): name is T {
  return (names as readonly string[]).includes(name);
}

function didYouMean(given: string, names: readonly string[]): string {
  const meant = nearest(given, names);
  return `${meant === null ? '.' : `; did you mean ${meant}?`} There are: ${names.join(', ')}.`;
}

function wrong(param: string, message: string): ApiError {
  return new ApiError('invalid_value', message, { param });
}
