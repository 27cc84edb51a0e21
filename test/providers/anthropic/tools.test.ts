import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { JsonObject } from '../../../src/core/json.ts';
import { expectSent, type Sent, send, USUAL } from './kit.ts';

const PARAMETERS = { type: 'object' as const, properties: { a: { type: 'string' } }, required: ['a'] };

const tool = (name: string, more: JsonObject = {}): JsonObject => ({
  type: 'function',
  function: { name, ...more },
});

const F = { name: 'f', input_schema: { type: 'object', properties: {} } } as const;
const G = { name: 'g', input_schema: { type: 'object', properties: {} } } as const;

function choose(more: JsonObject, changes: Parameters<typeof send>[1] = {}) {
  const { sent, dropped } = send({ tools: [tool('f'), tool('g')], ...more }, changes);
  const names = (sent['tools'] as JsonObject[]).map(({ name }) => name);
  return { choice: sent['tool_choice'] as Sent['tool_choice'], names, dropped };
}

describe('Tools', () => {
  it('have a name, a description and a schema of what they take', () => {
    const tools = [
      tool('f', { description: 'Does.', parameters: PARAMETERS }),
      tool('g', { description: '' }),
    ];
    expectSent({ tools }, { tools: [{ name: 'f', description: 'Does.', input_schema: PARAMETERS }, G] });
  });

  it('take an object, though the client did not say so', () => {
    const { sent } = send({
      tools: [tool('f', { parameters: { properties: { a: true } } }), tool('g', { parameters: {} })],
    });
    assert.deepEqual(sent['tools'], [
      { name: 'f', input_schema: { type: 'object', properties: { a: true } } },
      { name: 'g', input_schema: { type: 'object' } },
    ]);
  });

  it('that are strict have a schema that can be held to', () => {
    const bounded = {
      ...PARAMETERS,
      properties: { a: { type: 'string', maxLength: 3 } },
      additionalProperties: false,
    };
    const expected = [
      {
        name: 'f',
        input_schema: {
          type: 'object',
          properties: { a: { type: 'string', description: 'It must also fit: {"maxLength":3}' } },
          additionalProperties: false,
          required: ['a'],
        },
        strict: true,
      },
      {
        name: 'g',
        input_schema: { type: 'object', properties: {}, additionalProperties: false },
        strict: true,
      },
    ] satisfies Sent['tools'];
    assert.deepEqual(
      expectSent(
        { tools: [tool('f', { parameters: bounded, strict: true }), tool('g', { strict: true })] },
        { tools: expected },
      ),
      [],
    );
  });

  it('that are strict and cannot be held to are not, which is named', () => {
    const open = { type: 'object', properties: {}, additionalProperties: { type: 'number' } };
    const tools = [tool('g', { strict: false }), tool('f', { parameters: open, strict: true })];
    const { sent, dropped } = send({ tools });
    assert.deepEqual(sent['tools'], [G, { name: 'f', input_schema: open }]);
    assert.deepEqual(dropped, ['tools[1].function.strict']);
    assert.throws(() => send({ tools }, { strict: true }), { name: 'Unsupported' });
  });

  it('of kinds that only OpenAI has are refused', () => {
    const custom = { type: 'custom', custom: { name: 'c' } };
    assert.throws(() => send({ tools: [custom] }), { name: 'Unsupported', param: 'tools[0]' });
  });
});

describe('The choice of a tool', () => {
  it('is said as Anthropic does', () => {
    assert.deepEqual(choose({ tool_choice: 'auto' }).choice, { type: 'auto' });
    assert.deepEqual(choose({ tool_choice: 'none' }).choice, { type: 'none' });
    assert.deepEqual(choose({ tool_choice: 'required' }).choice, { type: 'any' });
    const named = { type: 'function', function: { name: 'g' } };
    assert.deepEqual(choose({ tool_choice: named }).choice, { type: 'tool', name: 'g' });
    assert.equal(choose({}).choice, undefined);
  });

  it('is among those that are allowed', () => {
    const allowed = (mode: string) => ({
      type: 'allowed_tools',
      allowed_tools: { mode, tools: [{ type: 'function', function: { name: 'g' } }] },
    });
    assert.deepEqual(choose({ tool_choice: allowed('auto') }), {
      choice: { type: 'auto' },
      names: ['g'],
      dropped: [],
    });
    assert.deepEqual(choose({ tool_choice: allowed('required') }).choice, { type: 'any' });
  });

  it('may allow one call only', () => {
    const one = (more: JsonObject = {}) => choose({ parallel_tool_calls: false, ...more }).choice;
    assert.deepEqual(one(), { type: 'auto', disable_parallel_tool_use: true });
    assert.deepEqual(one({ tool_choice: 'required' }), { type: 'any', disable_parallel_tool_use: true });
    assert.deepEqual(one({ tool_choice: 'none' }), { type: 'none' });
    assert.equal(choose({ parallel_tool_calls: true }).choice, undefined);
    assert.deepEqual(expectSent({ parallel_tool_calls: false }, USUAL), []);
    const capabilities = { refuses: new Set(['parallel_tool_calls']) };
    const refused = choose({ parallel_tool_calls: false }, { capabilities });
    assert.equal(refused.choice, undefined);
    assert.deepEqual(refused.dropped, ['parallel_tool_calls']);
  });

  it('is the model’s own where it cannot be forced: only the named tool is left, and the loss is named', () => {
    const changes = { capabilities: { forcedTools: false } };
    const named = { type: 'function', function: { name: 'g' } };
    assert.deepEqual(choose({ tool_choice: 'required' }, changes), {
      choice: { type: 'auto' },
      names: ['f', 'g'],
      dropped: ['tool_choice'],
    });
    assert.deepEqual(choose({ tool_choice: named, parallel_tool_calls: false }, changes), {
      choice: { type: 'auto', disable_parallel_tool_use: true },
      names: ['g'],
      dropped: ['tool_choice'],
    });
    const unknown = { type: 'function', function: { name: 'h' } };
    assert.deepEqual(choose({ tool_choice: unknown }, changes).names, ['f', 'g']);
    for (const tool_choice of ['auto', 'none'])
      assert.deepEqual(choose({ tool_choice }, changes).dropped, []);
    assert.throws(() => choose({ tool_choice: 'required' }, { ...changes, strict: true }), {
      name: 'Unsupported',
      param: 'tool_choice',
    });
  });

  it('says nothing where there are no tools', () => {
    assert.deepEqual(expectSent({ tool_choice: 'auto', tools: [] }, USUAL), []);
    assert.deepEqual(expectSent({ tools: [tool('f')] }, { tools: [F] }), []);
  });
});
