import assert from 'node:assert/strict'
import { once } from 'node:events'
import { writeFile } from 'node:fs/promises'
import { type AddressInfo, createServer } from 'node:net'
import { join } from 'node:path'
import { it } from 'node:test'
import { fixture, temporaryDir } from '../workplace.js'
import { earshot, start } from './earshot.js'

it('indexes, searches by file and by id, and tags', async (test) => {
  const data = await temporaryDir(test)
  const json = ['--json', '--data', data]

  const index = await earshot(
    'index',
    fixture('guitar_cc0.mp4'),
    fixture('photo_dog.webp'),
    ...json,
  )
  assert.equal(index.code, 0, index.stderr)
  const { indexed, unchanged, failed, stop } = JSON.parse(index.stdout)
  assert.deepEqual([indexed, unchanged, failed, stop], [2, 0, [], null])

  const byFile = await earshot(
    'search',
    fixture('sound_guit_e_slide.opus'),
    '--limit',
    '1',
    ...json,
  )
  const [hit] = JSON.parse(byFile.stdout).hits
  assert.equal(hit.clip.path, fixture('guitar_cc0.mp4'))

  const byId = await earshot('search', hit.clip.id, '--from', 'audio', '--to', 'visual', ...json)
  assert.equal(JSON.parse(byId.stdout).query.from, 'audio')

  const tags = await earshot('tag', fixture('guitar_cc0.mp4'), '--limit', '4', ...json)
  assert.ok(
    JSON.parse(tags.stdout).labels.some(({ name }: { name: string }) => /guitar/i.test(name)),
    tags.stdout,
  )
})

it('exits with 2 if some files fail, and with 3 if all files fail', async (test) => {
  const data = await temporaryDir(test)

  const some = await earshot(
    'index',
    fixture('bad_empty.mp4'),
    fixture('photo_cat.webp'),
    '--data',
    data,
  )
  const all = await earshot('index', fixture('bad_empty.mp4'), '--data', data, '--json')

  assert.equal(some.code, 2)
  assert.match(some.stdout, /MEDIA_EMPTY .*bad_empty\.mp4/)
  assert.equal(all.code, 3)
  assert.equal(JSON.parse(all.stdout).failed[0].code, 'MEDIA_EMPTY')
})

it('exits with 1 for a wrong command line', async () => {
  for (const args of [
    ['fly'],
    ['index'],
    ['search'],
    ['search', 'a', '--smell'],
    ['search', 'a', '--limit', '0'],
    ['search', 'a', '--to', 'smell'],
  ]) {
    const { code, stderr } = await earshot(...args)
    assert.equal(code, 1, args.join(' '))
    assert.match(stderr, /USAGE/)
  }
})

it('prints one JSON value if it fails', async (test) => {
  const data = await temporaryDir(test)

  await earshot('index', fixture('photo_dog.webp'), '--data', data)

  const { code, stdout } = await earshot('search', 'unknown', '--json', '--data', data)

  assert.equal(code, 3)
  assert.equal(JSON.parse(stdout).code, 'CLIP_NOT_FOUND')
})

it('prints the error code if it cannot open or serve a library', async (test) => {
  const data = await temporaryDir(test)
  await writeFile(join(data, 'catalogue.sqlite'), 'no database '.repeat(100))
  const taken = createServer().listen(0, '127.0.0.1')
  test.after(() => taken.close())
  await once(taken, 'listening')
  const { port } = taken.address() as AddressInfo

  const damaged = await earshot('search', 'x', '--json', '--data', data)
  const unusable = await earshot(
    'index',
    'x',
    '--json',
    '--data',
    join(data, 'catalogue.sqlite', 'below'),
  )
  const occupied = await earshot(
    'serve',
    '--json',
    '--port',
    String(port),
    '--data',
    await temporaryDir(test),
  )

  assert.equal(JSON.parse(damaged.stdout).code, 'DATA_UNUSABLE')
  assert.equal(JSON.parse(unusable.stdout).code, 'DATA_UNUSABLE')
  assert.equal(JSON.parse(occupied.stdout).code, 'ADDRESS_UNAVAILABLE')
  assert.deepEqual([damaged.code, unusable.code, occupied.code], [3, 3, 3])
})

it('prints help with examples', async () => {
  for (const command of ['index', 'jobs', 'library', 'search', 'tag', 'serve', 'doctor']) {
    const { code, stdout } = await earshot(command, '--help')
    assert.equal(code, 0)
    assert.match(stdout, /Examples:\n {2}earshot|Examples:\n {2}EARSHOT/)
  }
})

it('checks the installation with doctor', async (test) => {
  const { code, stdout } = await earshot('doctor', '--json', '--data', await temporaryDir(test))

  const { ok, findings } = JSON.parse(stdout)
  assert.equal(code, 0, stdout)
  assert.equal(ok, true)
  assert.deepEqual(
    findings.map(({ check }: { check: string }) => check),
    ['ffmpeg', 'temporary folder', 'data folder', 'bundle', 'provider', 'encoder', 'library'],
  )
})

it('serves until SIGTERM, then exits with 0', async (test) => {
  const child = start(['serve', '--port', '0', '--json', '--data', await temporaryDir(test)])
  const [line] = await once(child.stdout, 'data')
  const { url } = JSON.parse(String(line))

  assert.equal((await fetch(`${url}/readyz`)).status, 200)
  child.kill('SIGTERM')
  const [code] = await once(child, 'close')
  assert.equal(code, 0)
})
