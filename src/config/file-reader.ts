/** What runs in the process that reads files which may hang: told their paths in a line on standard input, it writes a line for each that it has read. */
import { readFile } from 'node:fs/promises';
import { errorCode } from './files.ts';

let told = '';
process.stdin
  .setEncoding('utf8')
  .on('data', (part: string) => {
    told += part;
    if (told.endsWith('\n')) readAll(JSON.parse(told) as string[]);
  })
  // Whoever asked is gone. What waits in a thread is ended by nothing less.
  .on('end', () => process.kill(process.pid, 'SIGKILL'));

function readAll(paths: readonly string[]): void {
  // Only what is still to be read keeps this process.
  process.stdin.unref();
  for (const path of paths) {
    readFile(path, 'utf8')
      .then(
        (text) => ({ text }),
        (error: unknown) => ({ code: errorCode(error) }),
      )
      .then((found) => process.stdout.write(`${JSON.stringify([path, found])}\n`));
  }
}
