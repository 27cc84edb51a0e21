import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Json } from '../../src/core/json.ts';
import { compileQuery, type Facts } from '../../src/routing/query.ts';

const FACTS: Record<string, Json> = {
  'tenant.id': 'acme',
  'tenant.tier': 'pro',
  'metadata.team': 'search',
  'metadata.size': 5,
  'metadata.tags': ['a', 'b'],
  'metadata.deep.er': true,
  'params.user': 'vip-7',
  'params.long': `${'x'.repeat(5000)}end`,
  'params.null': null,
  'request.input_tokens': 1200,
};
const facts: Facts = { lookup: (path) => FACTS[path.join('.')] };

function matches(query: Json): boolean {
  const compiled = compileQuery(query, (path, message) => assert.fail(`${path.join('.')}: ${message}`));
  assert.ok(compiled);
  return compiled.matches(facts);
}

function mistakes(query: Json): string[] {
  const found: string[] = [];
  assert.equal(
    compileQuery(query, (path, message) => found.push(`${path.join(' ')}: ${message}`)),
    null,
  );
  return found;
}

for (const [query, expected] of [
  [{ 'tenant.tier': 'pro' }, true],
  [{ 'tenant.tier': { $eq: 'free' } }, false],
  [{ 'tenant.tier': { $ne: 'free' } }, true],
  [{ 'metadata.nothing': { $ne: 'free' } }, true],
  [{ 'metadata.nothing': { $eq: null } }, false],
  [{ 'params.null': null }, true],
  [{ 'metadata.size': { $eq: '5' } }, false],
  [{ 'metadata.size': { $gt: 4 } }, true],
  [{ 'metadata.size': { $gte: 5, $lt: 6 } }, true],
  [{ 'metadata.size': { $gte: 5, $lt: 5 } }, false],
  [{ 'metadata.size': { $lte: 5 } }, true],
  [{ 'metadata.size': { $gt: '4' } }, false],
  [{ 'metadata.nothing': { $lt: 4 } }, false],
  [{ 'metadata.tags': { $gt: 1 } }, false],
  [{ 'metadata.tags': { $eq: ['a', 'b'] } }, true],
  [{ 'metadata.tags': ['b', 'a'] }, false],
  [{ 'metadata.deep.er': true }, true],
  [{ 'tenant.id': { $gt: 'aaa', $lt: 'zzz' } }, true],
  [{ 'metadata.team': { $in: ['ads', 'search'] } }, true],
  [{ 'metadata.team': { $nin: ['ads', 'search'] } }, false],
  [{ 'metadata.nothing': { $nin: ['ads'] } }, true],
  [{ 'params.user': { $regex: '^vip-\\d$' } }, true],
  [{ 'params.user': { $regex: '^VIP' } }, false],
  [{ 'metadata.size': { $regex: '5' } }, false],
  [{ 'params.long': { $regex: 'end' } }, false],
  [{ 'request.input_tokens': { $gt: 1000 } }, true],
  [{ 'request.input_tokens': { $gt: '1000' } }, true],
  [{ 'tenant.tier': 'pro', 'metadata.size': 6 }, false],
  [{ $and: [{ 'tenant.tier': 'pro' }, { 'metadata.size': 5 }] }, true],
  [{ $or: [{ 'tenant.tier': 'free' }, { 'metadata.size': 5 }] }, true],
  [{ $or: [{ 'tenant.tier': 'free' }, { $and: [{ 'metadata.size': 5 }, { 'tenant.id': 'x' }] }] }, false],
] as [Json, boolean][]) {
  test(`${JSON.stringify(query)} ${expected ? 'matches' : 'does not match'}`, () => {
    assert.equal(matches(query), expected);
  });
}

for (const [query, expected] of [
  [{ 'tenant.tier': { $qe: 1 } }, /^tenant\.tier \$qe: unknown operator, did you mean \$eq\?/],
  [{ $adn: [] }, /^\$adn: unknown operator, did you mean \$and\?/],
  [{ 'tennant.tier': 1 }, /^tennant\.tier: unknown field, did you mean tenant\?/],
  [{ 'tenant.teir': 1 }, /^tenant\.teir: unknown field, did you mean tenant\.tier\?/],
  [{ 'request.input': 1 }, /known here: request\.input_tokens/],
  [{ metadata: 1 }, /expected a name after the dot, such as metadata\.team/],
  [{ 'metadata..x': 1 }, /expected a name after the dot/],
  [{ 'constructor.x': 1 }, /unknown field/],
  [{ 'tenant.id': { constructor: 1 } }, /unknown operator/],
  [{ 'tenant.id': {} }, /expected a value, or operators/],
  [{}, /expected a map/],
  ['text', /expected a map/],
  [{ $and: {} }, /^\$and: expected a list/],
  [{ $or: [] }, /^\$or: expected a list/],
  [{ $or: [{ 'tenant.id': { $in: 'x' } }] }, /^\$or 0 tenant\.id \$in: expected a list/],
  [{ 'tenant.id': { $gt: true } }, /expected a number or a text/],
  [{ 'tenant.id': { $regex: 5 } }, /expected a regular expression/],
  [
    { 'tenant.id': { $regex: 'secret(' } },
    /^tenant\.id \$regex: not a regular expression: Unterminated group$/,
  ],
] as [Json, RegExp][]) {
  test(`${JSON.stringify(query)} is a mistake`, () => {
    assert.match(mistakes(query)[0] ?? '', expected);
  });
}

test('all mistakes of a query are told', () => {
  assert.equal(mistakes({ a: 1, 'tenant.tier': { $x: 1, $y: 2 } }).length, 3);
});
