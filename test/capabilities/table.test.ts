import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { EFFORTS, type ModelCapabilities, NOTHING_KNOWN } from '../../src/capabilities/capabilities.ts';
import { Capabilities } from '../../src/capabilities/table.ts';
import { capabilitiesOf, wordsOf } from '../../src/capabilities/words.ts';

const WITH_PREFILL: ModelCapabilities = { ...NOTHING_KNOWN, prefill: true };
const WITH_LIMIT: ModelCapabilities = { ...NOTHING_KNOWN, context: 1000 };

function entry(name: string, value: ModelCapabilities, providers: string[] | null = null) {
  return { names: [name], providers, value };
}

describe('what is known of a model', () => {
  it('is the same each time it is asked for', () => {
    const capabilities = new Capabilities([{ spellings: ['*/{}'], entries: [entry('m', WITH_PREFILL)] }]);
    assert.equal(capabilities.find('one', 'm'), WITH_PREFILL);
    assert.equal(capabilities.find('one', 'x/m'), WITH_PREFILL);
    assert.equal(capabilities.find('two', 'x/m'), WITH_PREFILL);
    assert.ok(capabilities.knows('one', 'x/m'));
    assert.equal(capabilities.size, 1);
  });

  it('is what the first table has of it, even by a pattern, and what the next one has of all others', () => {
    const capabilities = new Capabilities([
      { spellings: [], entries: [entry('m*', WITH_PREFILL), entry('n', WITH_PREFILL, ['one'])] },
      { spellings: [], entries: [entry('m1', WITH_LIMIT), entry('n', WITH_LIMIT)] },
    ]);
    assert.equal(capabilities.find('one', 'm1'), WITH_PREFILL);
    assert.equal(capabilities.find('one', 'n'), WITH_PREFILL);
    assert.equal(capabilities.find('two', 'n'), WITH_LIMIT);
    assert.equal(capabilities.size, 4);
  });

  it('is nothing for whatever else clients and files call a model', () => {
    const capabilities = new Capabilities([{ spellings: ['*/{}'], entries: [entry('m', WITH_PREFILL)] }]);
    const strange = fc.oneof(
      fc.string(),
      fc.constantFrom('__proto__', 'constructor', '', '/', 'm'.repeat(5000)),
    );
    fc.assert(
      fc.property(strange, strange, (provider, model) => {
        fc.pre(model !== 'm' && !model.endsWith('/m'));
        assert.equal(capabilities.find(provider, model), NOTHING_KNOWN);
        assert.ok(!capabilities.knows(provider, model));
        assert.equal(new Capabilities([]).find(provider, model), NOTHING_KNOWN);
      }),
    );
  });
});

describe('the words of a file', () => {
  it('say nothing where nothing is said', () => {
    assert.deepEqual(capabilitiesOf({}), NOTHING_KNOWN);
    assert.deepEqual(wordsOf(NOTHING_KNOWN), {});
  });

  it('mean each what it says, and are found again', () => {
    const said = {
      context: 1_000_000,
      max_output: 128_000,
      input: ['image' as const],
      refuses: ['temperature', 'top_k'],
      takes_at_no_effort: ['temperature'],
      efforts: ['none' as const, 'high' as const],
      default_effort: 'high' as const,
      forced_tools: false,
      tools_only_at_no_effort: true,
      max_completion_tokens: true,
      prefill: true,
      later_system: true,
      json_schema: false,
      thinking: 'budget' as const,
      thinking_off: 'omit' as const,
      thinking_config: 'level' as const,
    };
    const capabilities = capabilitiesOf(said);
    assert.deepEqual(capabilities, {
      context: 1_000_000,
      maxOutput: 128_000,
      input: new Set(['image']),
      refuses: new Set(['temperature', 'top_k']),
      takesAtNoEffort: new Set(['temperature']),
      efforts: ['none', 'high'],
      defaultEffort: 'high',
      forcedTools: false,
      toolsOnlyAtNoEffort: true,
      maxCompletionTokens: true,
      prefill: true,
      laterSystem: true,
      jsonSchema: false,
      thinking: 'budget',
      thinkingOff: 'omit',
      thinkingConfig: 'level',
    } satisfies ModelCapabilities);
    assert.deepEqual(wordsOf(capabilities), said);
  });

  it('know what is unknown from what is empty', () => {
    assert.equal(capabilitiesOf({ context: 'unknown', max_output: 'unknown' }).context, null);
    assert.equal(capabilitiesOf({ context: 'unknown', max_output: 'unknown' }).maxOutput, null);
    assert.equal(capabilitiesOf({ default_effort: 'unknown' }).defaultEffort, null);
    assert.equal(capabilitiesOf({}).input, null);
    assert.deepEqual(capabilitiesOf({ input: [] }).input, new Set());
    assert.deepEqual(wordsOf(capabilitiesOf({ input: [] })), { input: [] });
  });

  it('put efforts in their order', () => {
    const { efforts } = capabilitiesOf({ efforts: ['max', 'none', 'low'] });
    assert.deepEqual(efforts, ['none', 'low', 'max']);
    assert.deepEqual(capabilitiesOf({ efforts: EFFORTS.toReversed() }).efforts, EFFORTS);
  });
});
