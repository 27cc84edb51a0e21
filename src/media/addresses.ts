import { BlockList, isIP } from 'node:net';

/** Of IPv4, all that is not a host of the internet (IANA's registry of special addresses), as address and length of prefix. */
const NOT_PUBLIC: readonly [string, number][] = [
  ['0.0.0.0', 8],
  ['10.0.0.0', 8],
  // Shared by the customers of one carrier, and some clouds' metadata.
  ['100.64.0.0', 10],
  ['127.0.0.0', 8],
  // Link-local, and most clouds' metadata.
  ['169.254.0.0', 16],
  ['172.16.0.0', 12],
  ['192.0.0.0', 24],
  ['192.0.2.0', 24],
  ['192.88.99.0', 24],
  ['192.168.0.0', 16],
  ['198.18.0.0', 15],
  ['198.51.100.0', 24],
  ['203.0.113.0', 24],
  ['224.0.0.0', 4],
  ['240.0.0.0', 4],
  // Looks public, and is what an Azure machine gets its secrets from.
  ['168.63.129.16', 32],
];

/** Of IPv6, what may be a host of the internet: what is given out as such, and IPv4 behind a translator or written as IPv6. */
const MAY_BE_PUBLIC: readonly [string, number][] = [
  ['2000::', 3],
  ['64:ff9b::', 96],
  ['::ffff:0:0', 96],
];

/** Of that, what is not: tunnels that hold an IPv4 address (Teredo, 6to4), benchmarks, documentation. */
const NOT_PUBLIC_6: readonly [string, number][] = [
  ['2001::', 23],
  ['2001:db8::', 32],
  ['2002::', 16],
  ['3fff::', 20],
];

const mayBePublic = new BlockList();
for (const [address, prefix] of MAY_BE_PUBLIC) mayBePublic.addSubnet(address, prefix, 'ipv6');
const notPublic = new BlockList();
for (const [address, prefix] of NOT_PUBLIC_6) notPublic.addSubnet(address, prefix, 'ipv6');
for (const [address, prefix] of NOT_PUBLIC) {
  notPublic.addSubnet(address, prefix, 'ipv4');
  notPublic.addSubnet(`::ffff:${address}`, 96 + prefix, 'ipv6');
  notPublic.addSubnet(`64:ff9b::${address}`, 96 + prefix, 'ipv6');
}

/** Is this the address of a host of the internet, whichever way it is written? */
export function isPublic(address: string): boolean {
  switch (familyOf(address)) {
    case 'ipv4':
      return !notPublic.check(address, 'ipv4');
    case 'ipv6':
      return mayBePublic.check(address, 'ipv6') && !notPublic.check(address, 'ipv6');
    case null:
      return false;
  }
}

/** Null for what is no address, and for one that is of one link only. */
function familyOf(address: string): 'ipv4' | 'ipv6' | null {
  if (address.includes('%')) return null;
  return ([null, 'ipv4', 'ipv6'] as const)[isIP(address) === 0 ? 0 : isIP(address) === 4 ? 1 : 2];
}

/** What an operator allows besides the internet: names of hosts, addresses, and subnets such as `10.1.0.0/16`. */
export class Allowed {
  readonly #hosts = new Set<string>();
  readonly #addresses = new BlockList();

  /** Throws for what is none of these. */
  constructor(entries: readonly string[]) {
    for (const entry of entries) this.#add(entry);
  }

  /** By the name that the URL has, whatever it resolves to. */
  host(name: string): boolean {
    return this.#hosts.has(name.toLowerCase());
  }

  address(address: string): boolean {
    const family = familyOf(address);
    return family !== null && this.#addresses.check(address, family);
  }

  #add(entry: string): void {
    const [address = '', prefix, ...rest] = entry.split('/');
    const family = familyOf(address);
    const most = family === 'ipv4' ? 32 : 128;
    const length = prefix === undefined ? most : /^\d{1,3}$/.test(prefix) ? Number(prefix) : Number.NaN;
    if (family !== null && rest.length === 0 && length <= most) {
      this.#addresses.addSubnet(address, length, family);
    } else if (family === null && /^[a-z0-9_]([a-z0-9_.-]*[a-z0-9_])?$/i.test(entry)) {
      this.#hosts.add(entry.toLowerCase());
    } else throw new RangeError(`'${entry}' is no host, address or subnet`);
  }
}
