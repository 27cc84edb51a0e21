import { type Server, ServerError } from '../state/admin.ts';

/** Rules by the names of users. */
export type Users = ReadonlyMap<string, readonly string[]>;

export async function rulesByUser(server: Server): Promise<Users> {
  const lines = (await server.call('ACL', 'LIST')) as string[];
  return new Map(
    lines.map((line) => {
      const [, name = '', ...rules] = line.split(' ');
      return [name, rules];
    }),
  );
}

/** Writes the users of a server into its file. False where it has none. */
export async function saveUsers(server: Server): Promise<boolean> {
  try {
    await server.call('ACL', 'SAVE');
    return true;
  } catch (error) {
    if (error instanceof ServerError && /not configured to use an ACL file/.test(error.message)) return false;
    throw error;
  }
}

/** Why this server cannot have users such as ours; null if it can. */
export async function unfit(server: Server, clustered: boolean): Promise<string | null> {
  const reply = (await server.call('HELLO')) as unknown[];
  const field = (name: string) => String(reply[reply.indexOf(name) + 1]);
  const version = field('version');
  // Read-only patterns for keys.
  if (Number.parseInt(version, 10) < 7) {
    return `${server.name} runs Redis ${version}; users who may only read some keys take 7.0 or newer`;
  }
  if (!clustered && field('mode') === 'cluster') {
    return `${server.name} belongs to a Redis Cluster; list the URLs of its nodes in \`state.redis\``;
  }
  return null;
}
