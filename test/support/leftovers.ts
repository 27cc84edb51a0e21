/**
 * Ends what a test process started and leaves nothing in its temporary folder, however that process ends: also by SIGKILL, when
 * nothing of its own runs any more. A small shell waits for the end of a pipe that only this process holds.
 */
import { type ChildProcess, spawn } from 'node:child_process';

const SCRIPT = `
while read -r verb what; do
  case $verb in
    pid) pids="$pids $what" ;;
    ended) rest=; for pid in $pids; do [ "$pid" = "$what" ] || rest="$rest $pid"; done; pids=$rest ;;
    folder) folders="$folders $what" ;;
  esac
done
for pid in $pids; do kill -9 "$pid" 2>/dev/null; done
for folder in $folders; do rm -rf "$folder"; done
`;

let pipe: NonNullable<ChildProcess['stdin']> | null = null;

function tell(line: string): void {
  if (pipe === null) {
    // Detached: what ends a whole process group (Ctrl-C) must not end the one that cleans up after it.
    const shell = spawn('/bin/sh', ['-c', SCRIPT], { stdio: ['pipe', 'ignore', 'ignore'], detached: true });
    shell.unref();
    pipe = shell.stdin;
    (pipe as unknown as { unref(): void }).unref();
    pipe.on('error', () => {});
  }
  pipe.write(`${line}\n`);
}

/** A child that must not outlive this process. */
export function endsWithUs(child: ChildProcess): void {
  if (child.pid === undefined) return;
  tell(`pid ${child.pid}`);
  // A number that is free again may be given to someone else's process.
  child.once('exit', () => tell(`ended ${child.pid}`));
}

/** A folder of ours without spaces in its path. */
export function goesWithUs(folder: string): void {
  tell(`folder ${folder}`);
}
