import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { MediaFetcher } from '../../src/media/media.ts';
import { MediaError } from '../../src/media/media-error.ts';
import { countConnections, openFetcher, openHost, PNG_URL, picture } from './kit.ts';

const UNREACHABLE = 'The URL could not be reached.';

async function messageOf(promise: Promise<unknown>): Promise<string> {
  const error = await promise.then(
    () => new Error('it was fetched'),
    (reason: unknown) => reason,
  );
  assert.ok(error instanceof MediaError, String(error));
  return error.message;
}

describe('a URL that leads inside', () => {
  it('is refused, however the address is written', async (t) => {
    const host = await openHost(t);
    const connections = countConnections(t);
    const { fetcher } = openFetcher();
    const addresses = [
      '127.0.0.1',
      '127.1',
      '2130706433',
      '0x7f000001',
      '0177.0.0.1',
      '0x7f.1',
      '127.0.0.1.',
      '0',
      '0.0.0.0',
    ];
    addresses.push(
      '169.254.169.254',
      '2852039166',
      '10.0.0.1',
      '192.168.1.1',
      '172.16.0.1',
      '100.100.100.200',
      '168.63.129.16',
    );
    addresses.push(
      '[::1]',
      '[::]',
      '[::ffff:127.0.0.1]',
      '[::ffff:7f00:1]',
      '[64:ff9b::7f00:1]',
      '[2002:7f00:1::]',
      '[fd00:ec2::254]',
    );
    addresses.push(
      '[fe80::1]',
      '%31%32%37.0.0.1',
      '①②⑦.⓪.⓪.①',
      '224.0.0.1',
      '255.255.255.255',
      '[::127.0.0.1]',
    );
    for (const address of addresses) {
      assert.equal(await messageOf(fetcher.fetch(`http://${address}/`, 'image')), UNREACHABLE, address);
      assert.equal(
        await messageOf(fetcher.fetch(`http://${address}:${host.port}/`, 'image')),
        'Files are not fetched from that port.',
        address,
      );
    }
    assert.deepEqual([host.paths.length, connections.count], [0, 0]);
  });

  it('is refused in the same words whether a name leads inside, to nothing, or to both inside and outside', async (t) => {
    const connections = countConnections(t);
    const names = {
      'in.test': ['10.0.0.1'],
      'both.test': ['1.1.1.1 10.0.0.1'],
      'six.test': ['::1'],
      'zone.test': ['fe80::1%lo'],
    };
    const { fetcher } = openFetcher({ names, own: () => ['9.9.9.9', '2606:4700::9'] });
    for (const name of [...Object.keys(names), 'none.test', 'localhost', 'metadata.google.internal']) {
      assert.equal(await messageOf(fetcher.fetch(`http://${name}/`, 'image')), UNREACHABLE, name);
      assert.equal(await messageOf(fetcher.fetch(`https://${name}/`, 'file')), UNREACHABLE, name);
      const port = await messageOf(fetcher.fetch(`http://${name}:6379/`, 'image'));
      assert.equal(port, 'Files are not fetched from that port.', name);
    }
    assert.equal(connections.count, 0);
  });

  it('is refused where it leads to this machine, by whichever of its addresses', async (t) => {
    const connections = countConnections(t);
    const names = { 'me.test': ['9.9.9.9'], 'six.test': ['2606:4700::9'], 'empty.test': [''] };
    const { fetcher } = openFetcher({ names, own: () => ['9.9.9.9', '2606:4700::9'] });
    for (const url of [
      'http://me.test/',
      'https://six.test/',
      'http://9.9.9.9:8080/',
      'http://[::ffff:9.9.9.9]/',
      'http://empty.test/',
    ]) {
      assert.equal(await messageOf(fetcher.fetch(url, 'image')), UNREACHABLE, url);
    }
    assert.equal(connections.count, 0);
  });

  it('is refused as a redirect from a host outside, at any hop', async (t) => {
    const inside = await openHost(t, picture, { address: '127.0.0.2' });
    const outside = await openHost(t, (request, response) => {
      const to: Record<string, string> = {
        '/port': `http://127.0.0.2:${inside.port}/`,
        '/plain': 'http://169.254.169.254/latest/meta-data/',
        '/name': 'http://in.test/',
        '/two': '/plain',
        '/file': 'file:///etc/passwd',
        '/user': 'http://user:secret@127.0.0.1/',
        '/broken': 'http://[',
      };
      response.writeHead(302, { location: to[request.url ?? ''] }).end();
    });
    const { fetcher } = openFetcher({ allow: ['127.0.0.1'], names: { 'in.test': ['127.0.0.2'] } });
    const answers: Record<string, string> = {
      '/port': 'Files are not fetched from that port.',
      '/plain': UNREACHABLE,
      '/name': UNREACHABLE,
      '/two': UNREACHABLE,
      '/file': 'Only https and http URLs can be fetched.',
      '/user': 'A URL with a user name or password is not fetched.',
      '/broken': 'The URL is not valid.',
    };
    const connections = countConnections(t);
    for (const [path, message] of Object.entries(answers)) {
      assert.equal(await messageOf(fetcher.fetch(`${outside.url}${path}`, 'image')), message, path);
    }
    assert.deepEqual([inside.paths.length, connections.count], [0, 8]);
  });

  it('is not reached by a name that changes its mind once it was checked', async (t) => {
    const outside = await openHost(t, picture, { address: '127.0.0.2' });
    const inside = await openHost(t, picture, { address: '127.0.0.1', port: outside.port });
    const names = { 'rebind.test': ['127.0.0.2', '127.0.0.1'] };
    const { fetcher, lookups } = openFetcher({ allow: ['127.0.0.2'], names });
    const url = `http://rebind.test:${outside.port}/`;
    assert.equal((await fetcher.fetch(url, 'image')).url, PNG_URL);
    assert.deepEqual([outside.paths, inside.paths, lookups], [['/'], [], ['rebind.test']]);
    assert.equal(outside.headers[0]?.['host'], `rebind.test:${outside.port}`);
    assert.equal(await messageOf(fetcher.fetch(url, 'image')), 'Files are not fetched from that port.');
    assert.equal(inside.paths.length, 0);
  });

  it('is not reached by a name that changes its mind between two hops', async (t) => {
    const outside = await openHost(
      t,
      (_request, response) => response.writeHead(307, { location: '/again' }).end(),
      {
        address: '127.0.0.2',
      },
    );
    const inside = await openHost(t, picture, { address: '127.0.0.1', port: outside.port });
    const names = { 'rebind.test': ['127.0.0.2', '127.0.0.1'] };
    const { fetcher, lookups } = openFetcher({ allow: ['127.0.0.2'], names });
    await messageOf(fetcher.fetch(`http://rebind.test:${outside.port}/`, 'image'));
    assert.deepEqual([outside.paths, inside.paths], [['/'], []]);
    assert.equal(lookups.length, 2);
  });
});

describe('a URL that is none to fetch', () => {
  it('is refused before anything is looked up', async () => {
    const { fetcher, lookups } = openFetcher({ names: { 'a.test': ['1.1.1.1'] } });
    const refused: Record<string, string> = {
      'ftp://a.test/': 'Only https and http URLs can be fetched.',
      'file:///etc/passwd': 'Only https and http URLs can be fetched.',
      'gopher://a.test/': 'Only https and http URLs can be fetched.',
      'data:image/png;base64,AA': 'Only https and http URLs can be fetched.',
      'http://u@a.test/': 'A URL with a user name or password is not fetched.',
      'https://:p@a.test/': 'A URL with a user name or password is not fetched.',
      'http://': 'The URL is not valid.',
      '/relative': 'The URL is not valid.',
      '': 'The URL is not valid.',
      [`http://a.test/${'x'.repeat(8192)}`]: 'The URL is not valid.',
    };
    for (const [url, message] of Object.entries(refused)) {
      assert.equal(await messageOf(fetcher.fetch(url, 'file')), message, url);
    }
    assert.equal(lookups.length, 0);
  });
});

describe('redirects', () => {
  it('are followed three times, of whichever kind', async (t) => {
    const host = await openHost(t, (request, response) => {
      const left = Number(request.url?.slice(1));
      if (left === 0) return picture(request, response);
      response.writeHead([301, 302, 303, 307, 308][left] ?? 308, { location: `/${left - 1}` }).end('moved');
    });
    const { fetcher } = openFetcher({ allow: ['127.0.0.1'] });
    assert.equal((await fetcher.fetch(`${host.url}/3`, 'image')).url, PNG_URL);
    assert.equal(await messageOf(fetcher.fetch(`${host.url}/4`, 'image')), 'The URL redirects too often.');
    assert.deepEqual(host.paths, ['/3', '/2', '/1', '/0', '/4', '/3', '/2', '/1']);
    await host.quiet();
  });
});

describe('what an operator allows', () => {
  it('is reached by its name, wherever that leads, and by its address under any name', async (t) => {
    const host = await openHost(t);
    const names = { 'media.internal': ['127.0.0.1'], 'other.test': ['127.0.0.1'] };
    const byName = openFetcher({ names, allow: ['media.internal'] });
    assert.equal((await byName.fetcher.fetch(`http://media.internal:${host.port}/`, 'image')).url, PNG_URL);
    await messageOf(byName.fetcher.fetch(`http://other.test:${host.port}/`, 'image'));
    await messageOf(byName.fetcher.fetch(host.url, 'image'));
    const byAddress = openFetcher({ names, allow: ['127.0.0.0/8'] });
    assert.equal((await byAddress.fetcher.fetch(`http://other.test:${host.port}/`, 'image')).url, PNG_URL);
    assert.equal(host.paths.length, 2);
  });

  it('opens no port of what is outside', async (t) => {
    const connections = countConnections(t);
    const { fetcher } = openFetcher({ names: { 'mixed.test': ['127.0.0.1 1.1.1.1'] }, allow: ['127.0.0.1'] });
    assert.equal(
      await messageOf(fetcher.fetch('http://mixed.test:6379/', 'image')),
      'Files are not fetched from that port.',
    );
    assert.equal(connections.count, 0);
  });

  it('must make sense', () => {
    assert.throws(() => new MediaFetcher({ allow: ['10.0.0.0/99'] }), RangeError);
    new MediaFetcher();
  });
});

describe('a fetcher as it comes', () => {
  it('asks the system for names, and reaches nothing of this machine', async (t) => {
    const host = await openHost(t);
    const connections = countConnections(t);
    const fetcher = new MediaFetcher();
    for (const url of [`http://localhost:${host.port}/`, 'http://localhost/', 'http://127.0.0.1/']) {
      await messageOf(fetcher.fetch(url, 'image'));
    }
    assert.equal(connections.count, 0);
    const allowing = new MediaFetcher({ allow: ['localhost'] });
    assert.equal((await allowing.fetch(`http://localhost:${host.port}/`, 'image')).url, PNG_URL);
  });
});
