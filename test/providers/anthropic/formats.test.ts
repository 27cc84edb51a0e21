import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { Json, JsonObject } from '../../../src/core/json.ts';
import { Unsupported } from '../../../src/providers/adapter.ts';
import { anthropic } from '../../../src/providers/anthropic/adapter.ts';
import { closedSchema } from '../../../src/providers/anthropic/output-schema.ts';
import { bedrock } from '../../../src/providers/bedrock/adapter.ts';
import { askFor } from '../kit.ts';
import { expectSent, send, USER } from './kit.ts';

const schema = { type: 'object', properties: { a: { type: 'integer' } }, required: ['a'] };
const closed = { ...schema, required: ['a'], additionalProperties: false };
const ENDLESS = {
  type: 'object',
  properties: { next: { anyOf: [{ $ref: '#' }, { type: 'null' }] } },
  required: ['next'],
  additionalProperties: false,
};

function format(one: Json, strict?: boolean) {
  return {
    type: 'json_schema',
    json_schema: { name: 'answer', schema: one, ...(strict === undefined ? {} : { strict }) },
  };
}

describe('The format of an answer', () => {
  it('is a schema that the model is held to', () => {
    for (const strict of [true, false, undefined]) {
      const expected = { output_config: { format: { type: 'json_schema' as const, schema: closed } } };
      assert.deepEqual(expectSent({ response_format: format(schema, strict) }, expected), []);
    }
  });

  it('stands beside an effort', () => {
    const { sent } = send({ response_format: format(schema), reasoning_effort: 'low' });
    assert.deepEqual(sent['output_config'], {
      effort: 'low',
      format: { type: 'json_schema', schema: closed },
    });
  });

  it('is asked for in words where the model cannot be held to it, unless the client insists', () => {
    const cannot: [JsonObject, Parameters<typeof send>[1]][] = [
      [ENDLESS, {}],
      [schema, { capabilities: { jsonSchema: false } }],
    ];
    for (const [one, changes] of cannot) {
      const { sent, dropped } = send({ response_format: format(one) }, changes);
      assert.equal(sent['output_config'], undefined);
      assert.ok(String(sent['system']).endsWith(JSON.stringify(one)));
      assert.deepEqual(dropped, ['response_format']);
      const refused = { name: 'Unsupported', param: 'response_format' };
      assert.throws(() => send({ response_format: format(one, true) }, changes), refused);
      assert.throws(() => send({ response_format: format(one) }, { ...changes, strict: true }), refused);
    }
  });

  it('of some JSON object is asked for in words, after the prompt', () => {
    const words = 'Answer with one JSON object and nothing else: no text before or after it, no code fence.';
    const response_format = { type: 'json_object' };
    assert.deepEqual(expectSent({ response_format }, { system: words }, { strict: true }), []);
    expectSent(
      { response_format, messages: [{ role: 'system', content: 'S' }, USER] },
      { system: `S\n${words}` },
    );
    const marked = { type: 'text', text: 'S', cache_control: { type: 'ephemeral' } } as const;
    expectSent(
      { response_format, messages: [{ role: 'system', content: [marked] }, USER] },
      { system: [marked, { type: 'text', text: words }] },
    );
  });

  it('of text is nothing', () => {
    assert.deepEqual(expectSent({ response_format: { type: 'text' } }, {}), []);
  });
});

describe('A schema that a model can be held to', () => {
  const properties = (one: Json) => ({ type: 'object', properties: { a: one }, required: ['a'] });
  const closedProperty = (one: Json) => {
    const result = closedSchema(properties(one) as JsonObject).schema;
    return result === null ? null : (result['properties'] as JsonObject)['a'];
  };

  it('closes every object', () => {
    const inner = { type: 'object', properties: { b: { type: 'string' } }, additionalProperties: true };
    assert.deepEqual(closedProperty({ type: 'array', items: inner }), {
      type: 'array',
      items: { type: 'object', properties: { b: { type: 'string' } }, additionalProperties: false },
    });
    assert.deepEqual(closedProperty({ properties: { b: { type: 'null' } } }), {
      type: 'object',
      properties: { b: { type: 'null' } },
      additionalProperties: false,
    });
    assert.deepEqual(closedProperty({ type: 'object', additionalProperties: false }), {
      type: 'object',
      properties: {},
      additionalProperties: false,
    });
  });

  it('keeps what there are words for', () => {
    for (const one of [
      { type: 'string', title: 'T', description: 'D', default: 'x', format: 'date-time' },
      { type: ['string', 'null'], format: 'uuid' },
      { enum: ['a', 1, null, true] },
      { type: 'string', enum: ['a'] },
      { const: 'a' },
      { type: 'array', items: { type: 'number' }, minItems: 1 },
      { anyOf: [{ type: 'string' }, { type: 'null' }] },
    ]) {
      assert.deepEqual(closedProperty(one), one, JSON.stringify(one));
    }
  });

  it('tells the rest in the description', () => {
    assert.deepEqual(
      closedProperty({ type: 'integer', minimum: 1, description: 'A number.', $comment: 'x' }),
      {
        type: 'integer',
        description: 'A number.\n\nIt must also fit: {"minimum":1}',
      },
    );
    assert.deepEqual(closedProperty({ type: 'string', format: 'color', pattern: '^#' }), {
      type: 'string',
      description: 'It must also fit: {"format":"color","pattern":"^#"}',
    });
    assert.deepEqual(closedProperty({ type: 'array', items: { type: 'null' }, minItems: 2, maxItems: 3 }), {
      type: 'array',
      items: { type: 'null' },
      description: 'It must also fit: {"minItems":2,"maxItems":3}',
    });
  });

  it('has anyOf in place of oneOf, and of allOf with one schema', () => {
    const variants = [{ type: 'string' }, { type: 'null' }];
    assert.deepEqual(closedProperty({ oneOf: variants }), { anyOf: variants });
    assert.deepEqual(closedProperty({ allOf: [{ type: 'string' }], title: 'T' }), {
      title: 'T',
      anyOf: [{ type: 'string' }],
    });
  });

  it('keeps definitions and what refers to them', () => {
    const one = (place: string) => ({
      $schema: 'https://json-schema.org/draft/2020-12/schema',
      ...properties({ $ref: `#/${place}/D`, description: 'gone' }),
      [place]: { D: { type: 'object', properties: { e: { $ref: `#/${place}/E` } } }, E: { type: 'string' } },
    });
    for (const place of ['$defs', 'definitions']) {
      assert.deepEqual(closedSchema(one(place)).schema, {
        type: 'object',
        properties: { a: { $ref: `#/${place}/D` } },
        required: ['a'],
        additionalProperties: false,
        [place]: {
          D: { type: 'object', properties: { e: { $ref: `#/${place}/E` } }, additionalProperties: false },
          E: { type: 'string' },
        },
      });
    }
  });

  it('does not touch what it was made from, and keeps names such as __proto__', () => {
    const one = JSON.parse(
      '{"type":"object","properties":{"__proto__":{"type":"string"}},"required":["__proto__"]}',
    );
    const before = JSON.stringify(one);
    assert.equal(
      JSON.stringify(closedSchema(one).schema),
      '{"type":"object","properties":{"__proto__":{"type":"string"}},"additionalProperties":false,"required":["__proto__"]}',
    );
    assert.equal(JSON.stringify(one), before);
  });

  it('is not there for what cannot be said', () => {
    const optional = (count: number) => ({
      type: 'object',
      properties: Object.fromEntries(Array.from({ length: count }, (_, at) => [`p${at}`, { type: 'null' }])),
    });
    const chain = Object.fromEntries(
      Array.from({ length: 50_000 }, (_, at) => [`d${at}`, { $ref: `#/$defs/d${at + 1}` }]),
    );
    const cannot: JsonObject[] = [
      {},
      ENDLESS,
      { type: 'object' },
      { type: 'object', properties: {} },
      { type: 'object', additionalProperties: { type: 'string' } },
      { type: 'object', properties: { a: { type: 'null' } }, patternProperties: { '^x': { type: 'null' } } },
      properties(true),
      properties({}),
      properties({ type: 'array' }),
      properties({ $ref: 'https://elsewhere.test/schema' }),
      properties({ $ref: '#/properties/a' }),
      properties({ $ref: '#/$defs/Missing' }),
      { ...properties({ $ref: '#/$defs/toString' }), $defs: {} },
      properties({ allOf: [{ type: 'string' }, { type: 'string' }] }),
      properties({ anyOf: [{ type: 'null' }], oneOf: [{ type: 'null' }] }),
      properties({ anyOf: [] }),
      properties({ enum: [{ a: 1 }] }),
      {
        ...properties({ $ref: '#/$defs/A' }),
        $defs: { A: { anyOf: [{ $ref: '#/$defs/B' }] }, B: { $ref: '#/$defs/A' } },
      },
      { ...properties({ $ref: '#/$defs/d0' }), $defs: { ...chain, d50000: { type: 'null' } } },
      optional(25),
    ];
    for (const one of cannot) assert.equal(closedSchema(one).schema, null, JSON.stringify(one).slice(0, 200));
    assert.notEqual(closedSchema(optional(24)).schema, null);
    const names = Array.from({ length: 150 }, (_, at) => `d${at}`);
    const each = (schema: (name: string) => Json) =>
      Object.fromEntries(names.map((name) => [name, schema(name)]));
    const many = {
      type: 'object',
      properties: each((name) => ({ $ref: `#/$defs/${name}` })),
      required: names,
    };
    assert.notEqual(closedSchema({ ...many, $defs: each(() => ({ type: 'null' })) }).schema, null);
  });

  it('lets alternatives say in words which properties go together', () => {
    const one = { ...schema, required: ['a'], anyOf: [{ required: ['a'] }] };
    assert.deepEqual(closedSchema(one).schema, {
      ...closed,
      description: 'It must also fit: {"anyOf":[{"required":["a"]}]}',
    });
  });
});

describe('Why a schema cannot be said', () => {
  const object = (properties: JsonObject): JsonObject => ({
    type: 'object',
    properties,
    required: Object.keys(properties),
  });
  const node: JsonObject = object({ next: { $ref: '#/$defs/node' } });
  const optional = Object.fromEntries(Array.from({ length: 13 }, (_, at) => [`p${at}`, { type: 'null' }]));
  const rows: [schema: JsonObject, why: string][] = [
    [{}, 'at $, the value may be of any type'],
    [object({ a: { type: 'array' } }), 'at $.properties.a.items, the value may be of any type'],
    [
      object({ a: object({ b: { anyOf: [{ type: 'null' }, { type: 'object' }] } }) }),
      'at $.properties.a.properties.b.anyOf[1], the object may have members that are not named',
    ],
    [
      object({ a: { type: 'string', oneOf: [{ type: 'string' }], anyOf: [{ type: 'string' }] } }),
      "at $.properties.a, 'anyOf' and 'oneOf' stand together",
    ],
    [
      object({ a: { allOf: [object({ b: { type: 'null' } }), object({ c: { type: 'null' } })] } }),
      "at $.properties.a.allOf, there is no word for this 'allOf'",
    ],
    [
      { ...object({ a: { $ref: '#/$defs/node' } }), $defs: { node } },
      'at $.$defs.node.properties.next.$ref, the schema contains itself',
    ],
    [
      object({ a: { $ref: 'https://a.test/schema' } }),
      'at $.properties.a.$ref, the reference leads to no definition at the top of the schema',
    ],
    [
      { ...object({ a: { $ref: '#/$defs/x' } }), $defs: { x: { type: 'object' } } },
      'at $.$defs.x, the object may have members that are not named',
    ],
    [
      object({ a: { type: 'object', properties: optional }, b: { type: 'object', properties: optional } }),
      'at $.properties.b.properties.p11, more than 24 properties may be left out',
    ],
  ];
  for (const [schema, why] of rows) {
    it(why, () => {
      assert.deepEqual(closedSchema(schema), { schema: null, why });
      const format = { type: 'json_schema', json_schema: { name: 'n', schema, strict: true } };
      refusesBecause({ response_format: format }, 'response_format', why);
      const tool = { type: 'function', function: { name: 'f', parameters: schema, strict: true } };
      if (schema['type'] === 'object') refusesBecause({ tools: [tool] }, 'tools[0].function.strict', why);
    });
  }

  it('is told briefly, however long the way there is', () => {
    const deep = Array.from({ length: 50 }).reduce<JsonObject>((inner) => object({ property: inner }), {});
    const { why } = closedSchema(deep);
    assert.match(
      why ?? '',
      /^at \$\.properties\.property.{150,200}\.property, the value may be of any type$/,
    );
  });
});

function refusesBecause(body: JsonObject, param: string, why: string): void {
  for (const adapter of [anthropic, bedrock]) {
    const ask = askFor(
      { model: 'm', messages: [{ role: 'user', content: 'Hi' }], ...body },
      { model: 'anthropic.claude-opus-4-6', strict: true },
    );
    assert.throws(
      () => adapter.prepare(ask),
      (error) => error instanceof Unsupported && error.param === param && error.message.includes(`: ${why}.`),
    );
  }
}
