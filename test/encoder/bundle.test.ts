import assert from 'node:assert/strict'
import { cp, readFile, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { it, type TestContext } from 'node:test'
import { PACKAGE_DIR } from '../../src/config.js'
import { loadBundle } from '../../src/encoder/bundle.js'
import { temporaryDir } from '../workplace.js'

async function copyOfStarter(test: TestContext): Promise<string> {
  const dir = join(await temporaryDir(test), 'bundle')
  await cp(join(PACKAGE_DIR, 'models', 'starter'), dir, { recursive: true })
  return dir
}

async function edit(
  file: string,
  change: (manifest: Record<string, object>) => object,
): Promise<void> {
  await writeFile(file, JSON.stringify(change(JSON.parse(await readFile(file, 'utf8')))))
}

it('loads the starter bundle with its numbers and labels', async () => {
  const bundle = await loadBundle(join(PACKAGE_DIR, 'models', 'starter'))

  assert.equal(bundle.name, 'starter')
  assert.equal(bundle.format.seconds, 10)
  assert.equal(bundle.classes.length, 527)
  assert.deepEqual(bundle.classes[0], { index: 0, mid: '/m/09x0r', name: 'Speech' })
})

it('refuses a graph that was altered', async (test) => {
  const dir = await copyOfStarter(test)
  const graph = join(dir, 'visual.onnx')
  const bytes = await readFile(graph)
  bytes[bytes.length >> 1] = (bytes[bytes.length >> 1] ?? 0) ^ 1
  await writeFile(graph, bytes)

  await assert.rejects(loadBundle(dir), {
    code: 'BUNDLE_INVALID',
    message: /visual\.onnx has SHA-256/,
  })
})

it('refuses front-end numbers that the fingerprint does not know', async (test) => {
  const dir = await copyOfStarter(test)
  await edit(join(dir, 'bundle.json'), (manifest) => ({
    ...manifest,
    audio: { ...manifest.audio, channels: 'first' },
  }))

  await assert.rejects(loadBundle(dir), { code: 'BUNDLE_INVALID', message: /fingerprint/ })
})

it('refuses a list of equal fingerprints that was made for another bundle', async (test) => {
  const dir = await copyOfStarter(test)
  const other = { fingerprint: '0'.repeat(64), earlier: ['1'.repeat(64)] }
  await edit(join(dir, 'bundle.json'), (manifest) => ({ ...manifest, equals: other }))

  await assert.rejects(loadBundle(dir), {
    code: 'BUNDLE_INVALID',
    message: /equals is the list of 0{64}/,
  })
})

it('refuses another format by name', async (test) => {
  const dir = await copyOfStarter(test)
  await edit(join(dir, 'bundle.json'), (manifest) => ({ ...manifest, format: 2 }))

  await assert.rejects(loadBundle(dir), { code: 'BUNDLE_INVALID', message: /format/ })
})

it('says what is missing', async (test) => {
  const dir = await copyOfStarter(test)
  await rm(join(dir, 'audio.onnx'))

  await assert.rejects(loadBundle(dir), {
    code: 'BUNDLE_INVALID',
    message: /audio\.onnx cannot be read/,
  })
  await assert.rejects(loadBundle(join(dir, 'nowhere')), { code: 'BUNDLE_INVALID' })
})

it('never lets a bundle point outside its folder', async (test) => {
  const dir = await copyOfStarter(test)
  await edit(join(dir, 'bundle.json'), (manifest) => ({ ...manifest, golden: '../golden.json' }))

  await assert.rejects(loadBundle(dir), { code: 'BUNDLE_INVALID', message: /golden/ })
})
