/** What runs in the process that reads files which may hang: told their paths on standard input, it writes a line for each that it has read. */
import { readFile } from 'node:fs/promises';
import { json } from 'node:stream/consumers';
import { errorCode } from './files.ts';

const paths = (await json(process.stdin)) as string[];
for (const path of paths) {
  readFile(path, 'utf8')
    .then(
      (text) => ({ text }),
      (error: unknown) => ({ code: errorCode(error) }),
    )
    .then((found) => process.stdout.write(`${JSON.stringify([path, found])}\n`));
}
