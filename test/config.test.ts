import assert from 'node:assert/strict'
import { it } from 'node:test'
import { readConfig } from '../src/config.js'

it('has defaults that keep the server on this machine', () => {
  const config = readConfig({})

  assert.equal(config.http.host, '127.0.0.1')
  assert.deepEqual(config.encoder.providers, ['tensorrt', 'cuda', 'cpu'])
  assert.deepEqual(config.ingest.roots, [])
})

it('names the variable that is wrong', () => {
  assert.throws(() => readConfig({ EARSHOT_PORT: '99999' }), {
    code: 'CONFIG_INVALID',
    message: /EARSHOT_PORT/,
  })
  assert.throws(() => readConfig({ EARSHOT_PROVIDERS: 'gpu' }), {
    code: 'CONFIG_INVALID',
    message: /EARSHOT_PROVIDERS/,
  })
})

it('takes names, addresses and * as hosts, and names the entry that is neither', () => {
  const hosts = 'media.example, proxy.example:8443,[::1]:80,,*'
  const read = ['media.example', 'proxy.example:8443', '[::1]:80', '*']
  assert.deepEqual(readConfig({ EARSHOT_HOSTS: hosts }).http.hosts, read)

  for (const entry of ['http://x', 'a b', 'a/b', ':80', 'a:65536', 'a:b', '*.a', '*:80', '::1']) {
    const wrong = () => readConfig({ EARSHOT_HOSTS: `media.example,${entry}` })
    const message = new RegExp(`^EARSHOT_HOSTS.*"${entry.replace('*', '\\*')}"`)
    assert.throws(wrong, { code: 'CONFIG_INVALID', message }, entry)
  }
})

it('takes a bundle by name or by path', () => {
  assert.match(readConfig({ EARSHOT_BUNDLE: 'mine' }).library.bundleDir, /models.mine$/)
  assert.equal(readConfig({ EARSHOT_BUNDLE: '/bundles/mine' }).library.bundleDir, '/bundles/mine')
})
