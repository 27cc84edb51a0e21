import assert from 'node:assert/strict';
import { isIP } from 'node:net';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { Allowed, isPublic } from '../../src/media/addresses.ts';

const PUBLIC = [
  '1.1.1.1',
  '8.8.8.8',
  '100.63.255.255',
  '100.128.0.0',
  '172.15.255.255',
  '172.32.0.0',
  '192.0.1.0',
]
  .concat(['11.0.0.0', '9.255.255.255', '126.255.255.255', '128.0.0.0', '169.253.255.255', '169.255.0.0'])
  .concat([
    '191.255.255.255',
    '192.167.255.255',
    '192.169.0.0',
    '198.17.255.255',
    '198.20.0.0',
    '223.255.255.255',
  ])
  .concat([
    '192.0.3.0',
    '192.88.98.255',
    '192.88.100.0',
    '198.51.99.255',
    '198.51.101.0',
    '203.0.112.255',
    '203.0.114.0',
  ])
  .concat(['168.63.129.15', '168.63.129.17', '1.0.0.0']);
const PRIVATE = [
  '0.0.0.0',
  '0.255.255.255',
  '10.0.0.0',
  '10.255.255.255',
  '100.64.0.0',
  '100.100.100.200',
  '100.127.255.255',
]
  .concat([
    '127.0.0.1',
    '127.255.255.255',
    '169.254.169.254',
    '169.254.0.0',
    '172.16.0.0',
    '172.31.255.255',
    '192.0.0.192',
  ])
  .concat([
    '192.0.2.1',
    '192.88.99.1',
    '192.168.0.0',
    '192.168.255.255',
    '198.18.0.0',
    '198.19.255.255',
    '198.51.100.7',
  ])
  .concat(['203.0.113.9', '224.0.0.1', '239.255.255.255', '240.0.0.0', '255.255.255.255', '168.63.129.16']);

/** An IPv4 address in the last 32 bits of an IPv6 one, in both notations. */
function inside(prefix: string, address: string): string[] {
  const [a = 0, b = 0, c = 0, d = 0] = address.split('.').map(Number);
  const hex = `${((a << 8) | b).toString(16)}:${((c << 8) | d).toString(16)}`;
  return [`${prefix}${address}`, `${prefix}${hex}`];
}

describe('an address of the internet', () => {
  it('is what is not set aside for something else', () => {
    for (const address of PUBLIC) assert.equal(isPublic(address), true, address);
    for (const address of PRIVATE) assert.equal(isPublic(address), false, address);
  });

  it('is the same where it is written as IPv6, or stands behind a translator', () => {
    for (const prefix of ['::ffff:', '0:0:0:0:0:ffff:', '64:ff9b::']) {
      for (const address of PUBLIC.flatMap((one) => inside(prefix, one)))
        assert.equal(isPublic(address), true, address);
      for (const address of PRIVATE.flatMap((one) => inside(prefix, one)))
        assert.equal(isPublic(address), false, address);
    }
  });

  it('is none in a tunnel, or in a form that nobody uses any more', () => {
    for (const prefix of ['::', '64:ff9b:1::', '::ffff:0:', '2001:0:53aa:64c:0:fffb:', '2001::']) {
      for (const address of [...PUBLIC, ...PRIVATE].flatMap((one) => inside(prefix, one))) {
        assert.equal(isPublic(address), false, address);
      }
    }
    for (const address of ['2002:7f00:1::', '2002:a00:1::1', '2002:808:808::1'])
      assert.equal(isPublic(address), false);
  });

  it('of IPv6 is what is given out to hosts', () => {
    for (const address of [
      '2606:4700:4700::1111',
      '2001:4860:4860::8888',
      '2a00:1450::1',
      '2001:200::1',
      '3ffe::1',
    ]) {
      assert.equal(isPublic(address), true, address);
    }
    const others = [
      '::',
      '::1',
      'fc00::1',
      'fd00:ec2::254',
      'fd20:ce::254',
      'fe80::1',
      'fe80::1%eth0',
      'fec0::1',
      'ff02::1',
    ];
    others.push(
      '2001:db8::1',
      '2001:1ff::1',
      '2001:2::1',
      '2001:10::1',
      '3fff::1',
      '100::1',
      '4000::1',
      '5f00::1',
      '2606:4700::1%1',
    );
    for (const address of others) assert.equal(isPublic(address), false, address);
  });

  it('is nothing else', () => {
    fc.assert(
      fc.property(
        fc.oneof(fc.string(), fc.constantFrom('localhost', '1.1.1', '1.1.1.1.1', '0x7f.1', '', '1.1.1.256')),
        (text) => {
          assert.ok(!isPublic(text) || isIP(text) > 0);
        },
      ),
    );
    for (const text of ['localhost', '1.1.1', '2130706433', '[::1]', '']) assert.equal(isPublic(text), false);
  });
});

describe('what an operator allows', () => {
  it('is hosts by their names, addresses and subnets', () => {
    const allowed = new Allowed(['Media.Internal', '10.1.0.0/16', '192.168.0.7', 'fd00::/8', '::1']);
    assert.deepEqual(
      ['media.internal', 'MEDIA.INTERNAL', 'x.media.internal', '10.1.0.1'].map((name) => allowed.host(name)),
      [true, true, false, false],
    );
    for (const address of ['10.1.0.0', '10.1.255.255', '::ffff:10.1.2.3', '192.168.0.7', 'fd12::1', '::1']) {
      assert.equal(allowed.address(address), true, address);
    }
    for (const address of ['10.2.0.0', '192.168.0.8', 'fe80::1', '::2', 'media.internal', 'fd12::1%x']) {
      assert.equal(allowed.address(address), false, address);
    }
    assert.equal(new Allowed(['0.0.0.0/0']).address('127.0.0.1'), true);
  });

  it('must make sense', () => {
    for (const entry of [
      '',
      ' ',
      '10.0.0.0/33',
      '10.0.0.0/',
      '10.0.0.0/8/8',
      '::/129',
      '10.0.0.0/x',
      'a b',
      'http://x',
      'host/8',
      '*',
    ]) {
      assert.throws(() => new Allowed([entry]), RangeError, entry);
    }
  });
});
