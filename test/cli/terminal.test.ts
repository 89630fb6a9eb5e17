import assert from 'node:assert/strict'
import { execFile, spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { closeSync, existsSync, openSync } from 'node:fs'
import { copyFile, mkdir, readdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import { before, describe, it } from 'node:test'
import { promisify } from 'node:util'
import { PACKAGE_DIR } from '../../src/config.js'
import { tone } from '../ingest/tone.js'
import { fixture, temporaryDir } from '../workplace.js'
import { earshot, start } from './earshot.js'

const MAIN = join(PACKAGE_DIR, 'dist', 'src', 'cli', 'main.js')
const BUNDLE = { EARSHOT_BUNDLE: fixture('tiny-cavmae') }
// biome-ignore lint/suspicious/noControlCharactersInRegex: no control may reach a terminal
const ESCAPES = /[\x00-\x09\x0b-\x1f\x7f-\x9f]/ // all controls except the line feed

before(() => {
  process.env.EARSHOT_BUNDLE = BUNDLE.EARSHOT_BUNDLE
})

describe('on a terminal', () => {
  const hasScript = spawnSync('script', ['--version']).status === 0
  const skip = hasScript ? false : '`script` is not installed'

  it('index prints its report last, and no field without a value', { skip }, async (test) => {
    const dir = await temporaryDir(test)
    const args = [process.execPath, MAIN, 'index', fixture('photo_dog.webp'), '--data', dir]
    const command = args.map((arg) => `'${arg}'`).join(' ')

    const { stdout } = await promisify(execFile)('script', ['-qec', command, '/dev/null'])

    assert.doesNotMatch(stdout, /\{\w+\}/)
    assert.match(stdout, /ETA (\d+ s|when it is scanned) /)
    // The user sees the text after the last clearing of a line.
    const kept = stdout.slice(stdout.lastIndexOf('\x1b[') + 2)
    assert.match(kept, /1 indexed, 0 unchanged/)
  })
})

describe('names of files', () => {
  it('have no effect on a terminal', async (test) => {
    const dir = await temporaryDir(test)
    const data = await temporaryDir(test)
    const names = [
      'a\x1b[31mred\n57 indexed, 0 failed.wav',
      'b\u202egpj.wav',
      'c\x9b2J.wav',
      'd\r.wav',
    ]
    for (const [i, name] of names.entries()) await writeFile(join(dir, name), tone(300 + 20 * i))
    await writeFile(join(dir, 'bad\x1b[2J.wav'), '')

    const outputs = [
      await earshot('index', dir, '--data', data),
      await earshot('index', dir, '--mode', 'all', '--dry-run', '--data', data),
      await earshot('search', join(dir, 'd\r.wav'), '--to', 'audio', '--data', data),
      await earshot('library', '--data', data),
      await earshot('jobs', 'show', '1', '--data', data),
      await earshot('search', join(dir, 'nothing\x1b[2J.wav'), '--data', data),
      await earshot('fly\x1b[2J'),
    ]

    for (const { stdout, stderr } of outputs) {
      assert.doesNotMatch(stdout + stderr, ESCAPES)
      assert.doesNotMatch(stdout + stderr, /\u202e/)
      assert.doesNotMatch(stdout + stderr, /^57 indexed/m)
    }
    assert.match(outputs[0]?.stderr ?? '', /a\\x1b\[31mred\\x0a57 indexed/)
    const json = await earshot(
      'search',
      join(dir, 'd\r.wav'),
      '--to',
      'audio',
      '--data',
      data,
      '--json',
    )
    assert.doesNotMatch(json.stdout, ESCAPES)
    const paths = JSON.parse(json.stdout).hits.map(
      ({ clip }: { clip: { path: string } }) => clip.path,
    )
    assert.ok(paths.includes(join(dir, names[0] ?? '')))
  })
})

it('fails with a message if its output cannot be written', {
  skip: !existsSync('/dev/full') && 'no /dev/full',
}, () => {
  const full = openSync('/dev/full', 'w')
  const { status, stderr } = spawnSync(process.execPath, [MAIN, 'help'], {
    stdio: ['ignore', full, 'pipe'],
  })
  closeSync(full)

  assert.equal(status, 3)
  assert.match(String(stderr), /^The output cannot be written: ENOSPC[^\n]*\n$/)
})

describe('a closed pipe', () => {
  for (const args of [
    ['help'],
    ['index', '--help'],
    ['tag', fixture('odd_two_audio_tracks.mkv'), '--limit', '527'],
  ]) {
    it(`ends ${args[0]} without a message`, async (test) => {
      const dir = await temporaryDir(test)
      const child = spawn(process.execPath, [MAIN, ...args, '--data', dir], {
        env: { ...process.env, ...BUNDLE },
      })
      child.stdout.destroy()

      const [stderr, [code]] = await Promise.all([text(child.stderr), once(child, 'close')])

      assert.equal(stderr, '')
      assert.ok([0, 141].includes(code), String(code))
    })
  }
})

describe('a data folder that does not exist', () => {
  for (const command of [
    'library',
    'jobs',
    'search x.wav',
    'library prune',
    'library retry',
    'backup copy',
    'reindex --prune',
  ]) {
    it(`is refused by ${command}, which does not create it`, async (test) => {
      const dir = await temporaryDir(test)
      const { code, stderr } = await earshot(...command.split(' '), '--data', join(dir, 'none'))

      assert.ok(code > 0)
      assert.match(stderr, /LIBRARY_MISSING|There is no library/)
      assert.match(stderr, /none/)
      assert.deepEqual(await readdir(dir), [])
    })
  }

  for (const command of [
    ['tag', fixture('sound_perc_bell.opus')],
    ['doctor'],
    ['index', fixture('sound_misc_crow.opus'), '--dry-run'],
  ]) {
    it(`is not needed by ${command[0]}, which does not create it`, async (test) => {
      const dir = await temporaryDir(test)
      const { code, stderr } = await earshot(...command, '--data', join(dir, 'none'))

      assert.equal(code, 0, stderr)
      assert.deepEqual(await readdir(dir), [])
    })
  }
})

describe('standard input', () => {
  for (const name of ['-', '/dev/stdin']) {
    it(`is read as ${name}, and its temporary file is removed`, async (test) => {
      const [data, temporary] = [await temporaryDir(test), await temporaryDir(test)]
      await earshot('index', fixture('photo_dog.webp'), '--data', data)
      for (const args of [
        ['tag', name],
        ['search', name],
      ]) {
        const child = spawn(process.execPath, [MAIN, ...args, '--json', '--data', data], {
          env: { ...process.env, ...BUNDLE, TMPDIR: temporary },
        })
        child.stdin.end(await readFile(fixture('sound_perc_bell.opus')))

        const [stdout, [code]] = await Promise.all([text(child.stdout), once(child, 'close')])

        assert.equal(code, 0, stdout)
        assert.ok(JSON.parse(stdout).segments ?? JSON.parse(stdout).hits)
        assert.deepEqual(await readdir(temporary), [])
      }
    })
  }
})

it('prints its version, and takes global options before the command', async (test) => {
  const { version } = JSON.parse(await readFile(join(PACKAGE_DIR, 'package.json'), 'utf8'))
  const data = await temporaryDir(test)
  await earshot('index', fixture('photo_dog.webp'), '--data', data)

  assert.equal((await earshot('--version')).stdout, `earshot ${version}\n`)
  const before = await earshot('--json', '--data', data, 'library')
  assert.equal(JSON.parse(before.stdout).counts.clips, 1)
})

it('refuses excess arguments', async () => {
  for (const args of [
    ['serve', 'now'],
    ['doctor', 'now'],
    ['reindex', 'x', '--prune'],
    ['library', 'show', 'x'],
    ['library', 'retry', 'x'],
    ['jobs', 'list', '1'],
    ['jobs', 'show', '1', '2'],
    ['search', 'a', 'b'],
    ['tag', 'a', 'b'],
    ['backup', 'a', 'b'],
  ]) {
    const { code, stderr } = await earshot(...args)
    assert.deepEqual([code, /^USAGE/.test(stderr)], [1, true], args.join(' '))
  }
})

it('refuses a named pipe, and refuses a wrong glob before it creates a job', async (test) => {
  const dir = await temporaryDir(test)
  spawnSync('mkfifo', [join(dir, 'pipe.wav')])

  const pipe = await earshot('index', join(dir, 'pipe.wav'), '--data', join(dir, 'data'))
  const glob = await earshot('index', dir, '--ignore', '[z-a]', '--data', join(dir, 'none'))

  assert.match(pipe.stdout, /FILE_UNREADABLE/)
  assert.match(glob.stderr, /GLOB_INVALID/)
})

it('prints paths of hits from their source on', async (test) => {
  const dir = await temporaryDir(test)
  const data = await temporaryDir(test)
  await mkdir(join(dir, 'clips', 'day one'), { recursive: true })
  await copyFile(fixture('photo_dog.webp'), join(dir, 'clips', 'day one', 'dog.webp'))
  await earshot('index', join(dir, 'clips'), '--data', data)

  const { stdout } = await earshot('search', fixture('sound_perc_bell.opus'), '--data', data)

  assert.match(stdout, / clips\/day one\/dog\.webp$/m)
  assert.doesNotMatch(stdout, new RegExp(dir))
})

it('shows a source that is a file as online', async (test) => {
  const data = await temporaryDir(test)
  await earshot('index', fixture('photo_dog.webp'), '--data', data)

  const { stdout } = await earshot('library', '--data', data, '--json')

  assert.deepEqual(
    JSON.parse(stdout).roots.map(({ isOffline }: { isOffline: boolean }) => isOffline),
    [false],
  )
})

it('exits with 143 at SIGTERM, and prints its report', async (test) => {
  const dir = await temporaryDir(test)
  for (let i = 0; i < 30; i++)
    await writeFile(join(dir, `${i}.wav`), tone(200 + 10 * i, { seconds: 30 }))
  const child = start(
    ['index', dir, '--json', '--concurrency', '1', '--data', await temporaryDir(test)],
    BUNDLE,
  )
  const stdout = text(child.stdout)
  await once(child.stderr, 'data')

  child.kill('SIGTERM')
  const [code] = await once(child, 'close')

  assert.equal(code, 143)
  assert.ok(JSON.parse(await stdout).indexed < 30)
})
