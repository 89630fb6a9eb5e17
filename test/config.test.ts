import assert from 'node:assert/strict'
import { it } from 'node:test'
import { readConfig } from '../src/config.js'

it('has defaults that keep the server on this machine', () => {
  const config = readConfig({})

  assert.equal(config.host, '127.0.0.1')
  assert.deepEqual(config.providers, ['tensorrt', 'cuda', 'cpu'])
  assert.deepEqual(config.roots, [])
})

it('names the variable that is wrong', () => {
  assert.throws(() => readConfig({ EARSHOT_PORT: '99999' }), { code: 'CONFIG_INVALID', message: /EARSHOT_PORT/ })
  assert.throws(() => readConfig({ EARSHOT_PROVIDERS: 'gpu' }), {
    code: 'CONFIG_INVALID',
    message: /EARSHOT_PROVIDERS/,
  })
})

it('takes a bundle by name or by path', () => {
  assert.match(readConfig({ EARSHOT_BUNDLE: 'mine' }).bundleDir, /models.mine$/)
  assert.equal(readConfig({ EARSHOT_BUNDLE: '/bundles/mine' }).bundleDir, '/bundles/mine')
})
