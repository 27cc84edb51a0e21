#!/usr/bin/env node
// Written in the oldest syntax that can be: an old Node has to get far enough to say that it is too old.
import { existsSync } from 'node:fs';
import nodeModule from 'node:module';
import { fileURLToPath } from 'node:url';

var oldest = 24;
// A checkout has the sources, which Node runs as they are; the package has what was built of them.
var source = new URL('../src/cli/main.ts', import.meta.url);
var built = new URL('../dist/cli/main.js', import.meta.url);

if (Number(process.versions.node.split('.')[0]) < oldest) {
  console.error(
    'spillway needs Node ' +
      oldest +
      ' or newer, and this is ' +
      process.version +
      ' (' +
      process.execPath +
      '). Install a newer one; `npm install node@' +
      oldest +
      '` puts one beside the package, where npx finds it. A checkout brings its own: run it with `npx` there.',
  );
  process.exitCode = 2;
} else {
  // What Node compiles is kept for the next start, which takes a fifth less of the processor (from the sources two fifths). It is kept beside the code: who
  // may write there could change the code as well, which does not hold of a folder for temporary files. Where nothing can be written, nothing is.
  nodeModule.enableCompileCache(fileURLToPath(new URL('../node_modules/.compile-cache', import.meta.url)));
  import((existsSync(source) ? source : built).href).then((cli) => cli.main(process.argv.slice(2)));
}
