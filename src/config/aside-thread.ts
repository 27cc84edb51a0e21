/** What runs in the thread that a large configuration is read in. */
import { parentPort, workerData } from 'node:worker_threads';
import type { Found, Task } from './aside.ts';
import { RememberedFiles } from './files.ts';
import { loadConfig } from './load.ts';

const { file, env, asRead } = workerData as Task;
const files = new RememberedFiles(asRead);
const loaded = loadConfig(file, { env, readSecrets: true, files });
const found: Found = loaded.ok
  ? { ok: true, data: loaded.data, warnings: loaded.warnings, files: files.all }
  : { ok: false, problems: loaded.problems, files: files.all };
parentPort?.postMessage(found);
