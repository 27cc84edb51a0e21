// For the Dockerfile: `node tools/image/prune.ts node_modules` leaves of the packages what a process may load.
import { prune } from './needed.ts';

const [folder] = process.argv.slice(2);
if (folder === undefined) throw new Error('usage: node tools/image/prune.ts FOLDER');
prune(folder);
