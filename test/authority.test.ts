import assert from 'node:assert/strict'
import { it } from 'node:test'
import { authorityOf, isLoopback, parseAuthority } from '../src/authority.js'

it('reads names and addresses, with and without a port', () => {
  const known = {
    'Media.Example.': ['media.example', ''],
    'media_1:8443': ['media_1', '8443'],
    '127.0.0.1:80': ['127.0.0.1', '80'],
    '[::1]': ['::1', ''],
    '[FE80::1%25eth0]:7411': ['fe80::1%eth0', '7411'],
    '[fe80::1%br_0]': ['fe80::1%br_0', ''],
  }
  for (const [text, [name, port]] of Object.entries(known)) {
    assert.deepEqual(parseAuthority(text), { name, port }, text)
  }
})

it('reads nothing else', () => {
  const names = ['', 'a b', 'a/b', 'http://x', 'x@y', 'a..b', '.a', '*.a', 'ü.example']
  const addresses = ['::1', '[::1', '[127.0.0.1]', '[a]', '[::1%]']
  for (const text of [...names, ...addresses, ':80', 'x:', 'x:65536', 'x:1e3']) {
    assert.equal(parseAuthority(text), null, text)
  }
})

it('finds the server of a URL, with the port of its scheme', () => {
  assert.deepEqual(authorityOf('https://Media.example/x'), { name: 'media.example', port: '443' })
  assert.deepEqual(authorityOf('http://a@[::1]:7411'), { name: '::1', port: '7411' })
  for (const url of ['null', 'file://', 'ftp://media.example', 'media.example', '*']) {
    assert.equal(authorityOf(url), null, url)
  }
})

it('knows the names and addresses that always lead to this machine', () => {
  const addresses = ['127.0.0.1', '127.9.9.9', '::1', '0:0::1', '::1%lo', '::ffff:127.0.0.1']
  for (const name of [...addresses, '::ffff:7f00:1', 'localhost', 'LOCALHOST.', 'app.localhost']) {
    assert.equal(isLoopback(name), true, name)
  }
  const foreign = ['127.attacker.example', '127.0.0.1.attacker.example', 'localhost.example']
  const others = ['', 'notlocalhost', '127.1', '0.0.0.0', '::', '::2', '::ffff:10.0.0.1']
  for (const name of [...foreign, ...others]) {
    assert.equal(isLoopback(name), false, name)
  }
})
