/** config/models.yaml against what it was made from, row by row. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { type Document, isMap, isNode, isSeq, parseDocument } from 'yaml';
import type { Effort, ThinkingMode, ThinkingOff } from '../../src/capabilities/capabilities.ts';
import { capabilitiesSchema } from '../../src/capabilities/schema.ts';
import { Capabilities } from '../../src/capabilities/table.ts';
import { readCapabilities } from '../../src/config/compile-capabilities.ts';
import { formatProblem } from '../../src/config/problem.ts';
import { knownKeys } from '../../src/schema/walk.ts';

const ROOT = join(import.meta.dirname, '../..');
const TEXT = readFileSync(join(ROOT, 'config/models.yaml'), 'utf8');
const { tables, problems, warnings } = readCapabilities('config/models.yaml', TEXT, new Set());
const capabilities = new Capabilities(tables);
const of = (model: string) => {
  assert.ok(capabilities.knows('any', model), `nothing is known of ${model}`);
  return capabilities.find('any', model);
};

const K = 1000;
const M = 1_000_000;
const SAMPLING = ['temperature', 'top_p', 'top_k'];

describe('what is known of models as it is shipped', () => {
  it('is in order, and names no provider', () => {
    assert.deepEqual([...problems, ...warnings].map(formatProblem), []);
  });

  const CLAUDE: readonly {
    models: readonly string[];
    sampling: 'refused' | 'taken';
    thinking: ThinkingMode;
    off: ThinkingOff;
    forced: boolean;
    context: number | null;
    maxOutput: number;
    prefill: boolean;
    laterSystem: boolean;
  }[] = [
    {
      models: ['claude-sonnet-5-5'],
      sampling: 'refused',
      thinking: 'adaptive',
      off: 'between_tools',
      forced: false,
      context: M,
      maxOutput: 128 * K,
      prefill: false,
      laterSystem: true,
    },
    {
      models: [
        'claude-opus-5-5',
        'claude-fable-5-1',
        'claude-fable-5-2',
        'claude-mythos-5-1',
        'claude-mythos-5-2',
      ],
      sampling: 'refused',
      thinking: 'adaptive',
      off: 'omit',
      forced: false,
      context: M,
      maxOutput: 128 * K,
      prefill: false,
      laterSystem: true,
    },
    {
      models: ['claude-fable-5', 'claude-mythos-5'],
      sampling: 'refused',
      thinking: 'adaptive',
      off: 'omit',
      forced: true,
      context: M,
      maxOutput: 128 * K,
      prefill: false,
      laterSystem: true,
    },
    {
      models: ['claude-haiku-5-5', 'claude-opus-5'],
      sampling: 'refused',
      thinking: 'adaptive',
      off: 'low_effort',
      forced: true,
      context: M,
      maxOutput: 128 * K,
      prefill: false,
      laterSystem: true,
    },
    {
      models: ['claude-opus-4-8'],
      sampling: 'refused',
      thinking: 'adaptive',
      off: 'disabled',
      forced: true,
      context: M,
      maxOutput: 128 * K,
      prefill: false,
      laterSystem: true,
    },
    {
      models: ['claude-opus-4-7', 'claude-sonnet-5'],
      sampling: 'refused',
      thinking: 'adaptive',
      off: 'disabled',
      forced: true,
      context: M,
      maxOutput: 128 * K,
      prefill: false,
      laterSystem: false,
    },
    {
      models: ['claude-opus-4-6', 'claude-sonnet-4-6'],
      sampling: 'taken',
      thinking: 'adaptive',
      off: 'disabled',
      forced: true,
      context: M,
      maxOutput: 128 * K,
      prefill: false,
      laterSystem: false,
    },
    {
      models: ['claude-opus-4-5', 'claude-sonnet-4-5', 'claude-haiku-4-5'],
      sampling: 'taken',
      thinking: 'budget',
      off: 'disabled',
      forced: true,
      context: 200 * K,
      maxOutput: 64 * K,
      prefill: true,
      laterSystem: false,
    },
    {
      models: ['claude-opus-6', 'claude-haiku-7-20280101', 'us.anthropic.claude-sonnet-6-v1:0'],
      sampling: 'refused',
      thinking: 'adaptive',
      off: 'low_effort',
      forced: true,
      context: null,
      maxOutput: 128 * K,
      prefill: false,
      laterSystem: false,
    },
  ];

  for (const row of CLAUDE) {
    for (const model of row.models) {
      const forced = row.forced ? '' : ', no forced tools';
      it(`has ${model}: sampling ${row.sampling}, thinking ${row.thinking}, off ${row.off}${forced}`, () => {
        const found = of(model);
        assert.deepEqual([...found.refuses], row.sampling === 'refused' ? SAMPLING : []);
        assert.deepEqual(
          [found.thinking, found.thinkingOff, found.forcedTools, found.context, found.maxOutput],
          [row.thinking, row.off, row.forced, row.context, row.maxOutput],
        );
        assert.deepEqual([found.prefill, found.laterSystem], [row.prefill, row.laterSystem]);
        assert.deepEqual(found.input, new Set(['image', 'file']));
        assert.ok(found.jsonSchema);
        assert.ok(!found.maxCompletionTokens && !found.toolsOnlyAtNoEffort);
      });
    }
  }

  it('has the efforts of Claude: xhigh from 4.7 on, max from 4.6 on, none before', () => {
    assert.deepEqual(of('claude-opus-5-5').efforts, ['low', 'medium', 'high', 'xhigh', 'max']);
    assert.deepEqual(of('claude-opus-4-7').efforts, ['low', 'medium', 'high', 'xhigh', 'max']);
    assert.deepEqual(of('claude-sonnet-4-6').efforts, ['low', 'medium', 'high', 'max']);
    assert.deepEqual(of('claude-mythos-preview').efforts, ['low', 'medium', 'high', 'max']);
    assert.equal(of('claude-haiku-4-5').efforts, null);
  });

  for (const [model, maxOutput, thinking, jsonSchema] of [
    ['claude-opus-4-1-20250805', 32 * K, 'budget', true],
    ['claude-opus-4-20250514', 32 * K, 'budget', false],
    ['claude-sonnet-4-20250514', 64 * K, 'budget', false],
    ['us.anthropic.claude-3-7-sonnet-20250219-v1:0', 64 * K, 'budget', false],
    ['claude-3-5-haiku-latest', 8192, 'none', false],
    ['anthropic.claude-3-haiku-20240307-v1:0', 4096, 'none', false],
    ['anthropic.claude-v2:1', 4096, 'none', false],
  ] as const) {
    it(`has ${model}, which takes a temperature and goes on from an assistant message`, () => {
      const found = of(model);
      assert.deepEqual(
        [found.maxOutput, found.thinking, found.jsonSchema, found.prefill, found.refuses.size],
        [maxOutput, thinking, jsonSchema, true, 0],
      );
    });
  }

  const USUAL: readonly Effort[] = ['low', 'medium', 'high', 'xhigh', 'max'];
  const NO_XHIGH: readonly Effort[] = ['low', 'medium', 'high'];

  for (const [models, context, maxOutput, efforts, toolsTrap, takesAtNone] of [
    [['gpt-6.2-astra', 'gpt-6.2-sol', 'gpt-6.1-sol'], 1.05 * M, 128 * K, USUAL, false, false],
    [['gpt-6.1-terra'], 1.05 * M, 128 * K, ['none', ...USUAL], false, false],
    [['gpt-6-sol', 'gpt-6-luna'], 1.05 * M, 128 * K, ['none', ...USUAL], true, false],
    [['gpt-6-astra'], 1.05 * M, 128 * K, ['low', 'medium', 'high', 'xhigh'], true, false],
    [['gpt-6-cyber', 'gpt-6.3-sol'], null, null, USUAL, false, false],
    [
      ['gpt-5.6-sol', 'gpt-5.6-terra', 'gpt-5.6-luna'],
      M,
      128 * K,
      ['none', ...NO_XHIGH, 'xhigh'],
      true,
      true,
    ],
    [['gpt-5.5', 'gpt-5.4', 'gpt-5.4-mini'], null, 128 * K, ['none', ...NO_XHIGH, 'xhigh'], true, true],
    [['gpt-5.2'], 400 * K, 128 * K, ['none', ...NO_XHIGH, 'xhigh'], false, true],
    [['gpt-5.1'], 400 * K, 128 * K, ['none', ...NO_XHIGH], false, true],
    [['gpt-5', 'gpt-5-mini', 'gpt-5-nano'], 400 * K, 128 * K, ['minimal', ...NO_XHIGH], false, false],
  ] as const) {
    for (const model of models) {
      it(`has ${model} as a reasoning model with the efforts ${efforts.join(' ')}`, () => {
        const found = of(model);
        for (const name of [
          ...SAMPLING,
          'presence_penalty',
          'frequency_penalty',
          'logprobs',
          'top_logprobs',
          'logit_bias',
        ])
          assert.ok(found.refuses.has(name), name);
        assert.equal(found.refuses.has('stop'), model === 'gpt-6-astra');
        assert.deepEqual(
          [...found.takesAtNoEffort],
          takesAtNone ? ['temperature', 'top_p', 'logprobs', 'top_logprobs'] : [],
        );
        assert.deepEqual([found.context, found.maxOutput, found.efforts], [context, maxOutput, efforts]);
        assert.deepEqual([found.toolsOnlyAtNoEffort, found.maxCompletionTokens], [toolsTrap, true]);
        assert.ok(found.forcedTools && !found.prefill && found.jsonSchema);
        assert.deepEqual([found.thinking, found.thinkingConfig], [null, null]);
      });
    }
  }

  it('has the effort that holds where none is said, where that was seen', () => {
    for (const [model, effort] of [
      ['gpt-5.1', 'none'],
      ['gpt-5.2', 'none'],
      ['gpt-5.4', null],
      ['gpt-5.5', null],
      ['gpt-5.6-sol', 'medium'],
      ['gpt-5', 'medium'],
      ['gpt-6-sol', 'medium'],
      ['gpt-6.1-sol', null],
      ['gemini-4-argon', 'medium'],
      ['gemini-3.1-pro-preview', 'high'],
      ['claude-opus-5-5', null],
    ] as const)
      assert.equal(of(model).defaultEffort, effort, model);
  });

  it('has models of OpenAI that do not think, which take all but top_k', () => {
    for (const model of ['gpt-4.1', 'gpt-4o-mini-2024-07-18']) {
      assert.deepEqual([...of(model).refuses], ['top_k']);
      assert.equal(of(model).maxCompletionTokens, false);
    }
    assert.ok(of('o3').refuses.has('stop'));
    assert.ok(of('o4-mini').maxCompletionTokens);
  });

  for (const [model, config, off, efforts, context, maxOutput, refuses] of [
    ['gemini-4-argon', 'level', 'omit', NO_XHIGH, 1_048_576, 1_048_576, SAMPLING],
    ['gemini-3.8-flash', 'level', 'omit', NO_XHIGH, 1_048_576, 65_536, []],
    ['gemini-3.7-flash', 'level', 'omit', NO_XHIGH, 1_048_576, 65_536, []],
    ['gemini-3.5-flash', 'level', 'omit', ['minimal', ...NO_XHIGH], 1_048_576, 65_536, []],
    ['gemini-3.1-pro-preview', 'level', 'omit', NO_XHIGH, 1_048_576, 65_536, []],
    [
      'gemini-2.5-pro',
      'budget',
      'omit',
      ['minimal', ...NO_XHIGH],
      1_048_576,
      65_536,
      ['presence_penalty', 'frequency_penalty'],
    ],
    [
      'gemini-2.5-flash',
      'budget',
      'disabled',
      ['none', 'minimal', ...NO_XHIGH],
      1_048_576,
      65_536,
      ['presence_penalty', 'frequency_penalty'],
    ],
    ['gemini-3.9-flash', 'level', 'omit', NO_XHIGH, null, null, []],
    ['publishers/google/models/gemini-4-neon', 'level', 'omit', NO_XHIGH, null, null, SAMPLING],
  ] as const) {
    it(`has ${model}, told to think by a ${config}`, () => {
      const found = of(model);
      assert.deepEqual([found.thinkingConfig, found.thinkingOff, found.efforts], [config, off, efforts]);
      assert.deepEqual([found.context, found.maxOutput], [context, maxOutput]);
      assert.deepEqual([...found.refuses], refuses);
      assert.deepEqual(found.input, new Set(['image', 'audio', 'file']));
      assert.ok(!found.prefill);
    });
  }

  it('has the limits of others, and nothing else of them', () => {
    for (const [model, context, maxOutput] of [
      ['grok-4.6', 500 * K, null],
      ['x-ai/grok-4.5', 500 * K, null],
      ['grok-4.3', M, null],
      ['deepseek-flash', M, 384 * K],
      ['deepseek-v4-pro', M, 384 * K],
    ] as const) {
      const found = of(model);
      assert.deepEqual([found.context, found.maxOutput, found.refuses.size], [context, maxOutput, 0], model);
    }
  });

  it('is found as hosts spell the names', () => {
    for (const [spelt, name] of [
      ['gpt-6-sol-2026-09-01', 'gpt-6-sol'],
      ['openai/gpt-6-sol', 'gpt-6-sol'],
      ['us.anthropic.claude-opus-5-5-v1:0', 'claude-opus-5-5'],
      ['us.anthropic.claude-opus-4-6-v1', 'claude-opus-4-6'],
      ['eu.anthropic.claude-sonnet-4-5-20250929-v1:0', 'claude-sonnet-4-5'],
      ['global.anthropic.claude-sonnet-4-6', 'claude-sonnet-4-6'],
      [
        'arn:aws:bedrock:us-east-1:123456789012:inference-profile/us.anthropic.claude-opus-5-5-v1:0',
        'claude-opus-5-5',
      ],
      ['claude-haiku-4-5-20251001', 'claude-haiku-4-5'],
      ['claude-haiku-4-5@20251001', 'claude-haiku-4-5'],
      ['anthropic/claude-opus-5.5', 'claude-opus-5-5'],
      ['anthropic/claude-sonnet-4.5', 'claude-sonnet-4-5'],
      ['publishers/google/models/gemini-4-argon', 'gemini-4-argon'],
      ['google/gemini-3.8-flash', 'gemini-3.8-flash'],
    ] as const)
      assert.equal(of(spelt), of(name), spelt);
    for (const other of [
      'llama4',
      'my-claude-opus-5-5',
      'gpt-4',
      'amazon.nova-pro-v1:0',
      'arn:aws:bedrock:us-east-1:123456789012:application-inference-profile/abcdefghijkl',
    ])
      assert.ok(!capabilities.knows('any', other), other);
  });

  it('has every model that the table of prices has', () => {
    const prices = parseDocument(readFileSync(join(ROOT, 'config/prices.yaml'), 'utf8')).toJS() as {
      prices: { models: string[] }[];
    };
    const unknown = prices.prices
      .flatMap(({ models }) => models)
      .filter((name) => !capabilities.knows('any', name));
    assert.deepEqual(unknown, []);
  });

  it('is written as docs/capabilities.md says', () => {
    const page = readFileSync(join(ROOT, 'docs/capabilities.md'), 'utf8');
    const examples = [...page.matchAll(/```yaml\n(extends:[^`]*)```/g)].map(([, text = '']) => text);
    assert.equal(examples.length, 1);
    for (const example of examples) {
      const read = readCapabilities('docs/capabilities.md', example, new Set(['local']));
      assert.deepEqual([...read.problems, ...read.warnings].map(formatProblem), []);
      assert.equal(new Capabilities(read.tables).find('local', 'qwen4-mini').context, 256 * K);
    }
    const told = [...page.matchAll(/^\| `([a-z_]+)` \|/gm)].map(([, key]) => key);
    assert.deepEqual(told.toSorted(), knownKeys(capabilitiesSchema, ['models', 0]).toSorted());
  });

  it('says of each maker where it comes from, and of each key what it is', () => {
    const document: Document = parseDocument(TEXT);
    const entries = document.get('models');
    assert.ok(isSeq(entries));
    const keys = new Set(
      entries.items.flatMap((entry) =>
        isNode(entry) && isMap(entry) ? entry.items.map(({ key }) => String(key)) : [],
      ),
    );
    const head = TEXT.slice(0, TEXT.indexOf('\nspellings:'));
    for (const key of keys) assert.match(head, new RegExp(`^# {3}(-| ) ${key}: `, 'm'), key);
    for (const maker of ['Anthropic', 'OpenAI', 'Google', 'Others'])
      assert.match(TEXT, new RegExp(`  # --- ${maker}\\.`));
  });
});
