/** `npm run docs`: writes the pages that are made from the code. `--check` only says which are out of step. */
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { withReference } from '../../src/cli/reference.ts';
import { errorsPage } from './errors.ts';
import { metricsPage } from './metrics.ts';
import type { Page } from './page.ts';

const ROOT = join(import.meta.dirname, '../..');

/** Written by hand but for its table of keys. */
const configurationPage: Page = {
  file: 'docs/configuration.md',
  text: async () => withReference(readFileSync(join(ROOT, 'docs/configuration.md'), 'utf8')),
};

export const PAGES: readonly Page[] = [configurationPage, errorsPage, metricsPage];

/** Is the page as it would be written now? */
export async function isInStep({ file, text }: Page): Promise<boolean> {
  const path = join(ROOT, file);
  return existsSync(path) && readFileSync(path, 'utf8') === (await text());
}

async function main(): Promise<void> {
  const { values } = parseArgs({ options: { check: { type: 'boolean', default: false } } });
  for (const page of PAGES) {
    if (await isInStep(page)) console.log(`${page.file}: in step`);
    else if (values.check) {
      console.error(`${page.file}: out of step with the code; run \`npm run docs\``);
      process.exitCode = 1;
    } else {
      writeFileSync(join(ROOT, page.file), await page.text());
      console.log(`${page.file}: written`);
    }
  }
}

if (import.meta.main) await main();
