// Runs before the scripts that need Node 24, on whatever Node there is.
const { existsSync } = require('node:fs');
const { join } = require('node:path');

const OLDEST = 24;

function whatIsMissing() {
  if (!existsSync(join(__dirname, '..', 'node_modules', 'fastify'))) {
    return 'the packages are not installed. Run `npm ci` first.';
  }
  const { version, versions, execPath } = process;
  if (Number(versions.node.split('.')[0]) >= OLDEST) return null;
  return (
    `Node ${OLDEST} or newer is needed, and this is ${version} (${execPath}). ` +
    '`npm ci` installs one beside the other packages, by an install script. ' +
    'Where those are switched off, run `npm rebuild node --ignore-scripts=false`.'
  );
}

const missing = whatIsMissing();
if (missing !== null) {
  console.error(`spillway: ${missing}`);
  process.exitCode = 1;
}
