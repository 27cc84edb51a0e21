/** What runs in the thread that a large configuration is read in. */
import { parentPort, workerData } from 'node:worker_threads';
import { find, type Task } from './aside.ts';

parentPort?.postMessage(find(workerData as Task));
