import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { describe, it } from 'node:test';
import { promisify } from 'node:util';
import { KEEP_SHAPES } from '../../src/app/compiled-code.ts';

describe('what V8 is told, to keep compiled code', () => {
  it('is something that this Node knows', async () => {
    // Told something unknown by a program, V8 only says so on standard error.
    const { stdout, stderr } = await promisify(execFile)(process.execPath, [KEEP_SHAPES, '--print', '1']);
    assert.deepEqual({ stdout, stderr }, { stdout: '1\n', stderr: '' });
  });
});
