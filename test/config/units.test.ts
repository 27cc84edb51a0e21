import assert from 'node:assert/strict';
import { test } from 'node:test';
import { nearest } from '../../src/core/nearest.ts';
import { formatDuration, parseDuration, parseSize } from '../../src/core/units.ts';

test('durations are milliseconds', () => {
  for (const [text, ms] of [
    ['250ms', 250],
    ['5s', 5000],
    ['1.5s', 1500],
    ['10m', 600_000],
    ['24h', 86_400_000],
    ['0', 0],
    ['0s', 0],
  ] as const) {
    assert.equal(parseDuration(text), ms);
  }
  for (const text of ['', '5', '-5s', '5 s', '5S', 's', '1e3s', '1d', '.5s', '5s5', '999999999h']) {
    assert.equal(parseDuration(text), null, text);
  }
});

test('durations are written in the largest unit that they fill', () => {
  assert.deepEqual([0, 250, 1500, 90_000, 600_000, 86_400_000].map(formatDuration), [
    '0',
    '250ms',
    '1500ms',
    '90s',
    '10m',
    '24h',
  ]);
});

test('sizes are bytes', () => {
  assert.deepEqual(
    ['64kb', '32mb', '1.5MB', '1gb', '10b'].map(parseSize),
    [65_536, 33_554_432, 1_572_864, 1_073_741_824, 10],
  );
  for (const text of ['', '64', '-1kb', '1tb', 'kb', '9999gb']) assert.equal(parseSize(text), null, text);
});

test('the nearest name is the one that was meant, if one is near', () => {
  const names = ['retry', 'targets', 'timeouts', 'on_status_codes', 'base_url'];
  assert.equal(nearest('retires', names), 'retry');
  assert.equal(nearest('timeout', names), 'timeouts');
  assert.equal(nearest('onStatusCodes', names), 'on_status_codes');
  assert.equal(nearest('baseurl', names), 'base_url');
  assert.equal(nearest('reyrt', names), 'retry');
  assert.equal(nearest('colour', names), null);
  assert.equal(nearest('x', ['y', 'z']), null);
  assert.equal(nearest('', names), null);
  assert.equal(nearest('a'.repeat(10_000), names), null);
});
