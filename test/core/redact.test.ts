import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { makeRedact } from '../../src/core/redact.ts';

/** So many that places are looked up, none of which stands in a text below. */
const OTHERS = Array.from({ length: 100 }, (_, i) => `sk-other-${i}-of-them`);

for (const [many, others] of [
  ['few', []],
  ['many', OTHERS],
] as const) {
  const redact = (text: string, ...secrets: string[]) => makeRedact([...secrets, ...others])(text);

  describe(`text with one of ${many} secrets`, () => {
    it('says all but the secret', () => {
      assert.equal(
        redact('key sk-abc123 is wrong: sk-abc123.', 'sk-abc123'),
        'key [redacted] is wrong: [redacted].',
      );
      assert.equal(redact('sk-abc123', 'sk-abc123'), '[redacted]');
      assert.equal(redact('nothing of sk-abc12 here', 'sk-abc123'), 'nothing of sk-abc12 here');
      assert.equal(redact('', 'sk-abc123'), '');
    });

    it('hides it as it stands in JSON and in a URL', () => {
      const secret = 'p@ss"word/1';
      assert.equal(redact(`{"a":${JSON.stringify(secret)}}`, secret), '{"a":"[redacted]"}');
      assert.equal(redact(`/?k=${encodeURIComponent(secret)}&b`, secret), '/?k=[redacted]&b');
    });

    it('hides the whole of a secret that begins with another one', () => {
      assert.equal(redact('is sk-abc123-and-more.', 'sk-abc123', 'sk-abc123-and-more'), 'is [redacted].');
    });

    it('hides secrets that stand side by side', () => {
      assert.equal(redact('sk-abc123sk-def456', 'sk-abc123', 'sk-def456'), '[redacted][redacted]');
    });

    it('leaves nothing of the longer one where two overlap', () => {
      const clean = redact('xx AAAAAABBBBBBBB yy', 'AAAAAABB', 'AABBBBBBBB');
      assert.ok(!clean.includes('BB'), clean);
      assert.match(clean, /^xx .*\[redacted\] yy$/);
    });

    it('hides the whole of a secret within which another one stands', () => {
      assert.equal(redact('is AAABBBBBBCCC.', 'AAABBBBBBCCC', 'BBBBBB'), 'is [redacted].');
    });

    it('hides the shortest there may be, at the end of the text', () => {
      assert.equal(redact('is abc123', 'abc123'), 'is [redacted]');
    });

    it('takes no ordinary word for a secret', () => {
      assert.equal(redact('short words stay', 'short'), 'short words stay');
    });
  });
}

describe('text and thousands of secrets', () => {
  it('hides each of them', () => {
    const secrets = Array.from({ length: 5_000 }, (_, i) => `sk-${(i * 7919).toString(36).padStart(8, 'x')}`);
    const redact = makeRedact(secrets);
    for (const secret of secrets) assert.equal(redact(`it is "${secret}"`), 'it is "[redacted]"');
  });
});
