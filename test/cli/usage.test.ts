import assert from 'node:assert/strict'
import { join } from 'node:path'
import { describe, it } from 'node:test'
import { readConfig } from '../../src/config.js'
import { temporaryDir } from '../workplace.js'
import { earshot } from './earshot.js'

describe('a wrong command line', () => {
  for (const [line, message] of [
    ['indx', "unknown command 'indx' (Did you mean index?)"],
    ['search a --limt 3', "unknown option '--limt' (Did you mean --limit?)"],
    ['library prun', "unknown command 'prun' (expected show, prune, retry)"],
    ['jobs 12', "unknown command '12' (expected list, show, pause, resume, cancel, retry)"],
    ['jobs pause', "missing required argument 'id'"],
    ['tag a --limit', "option '--limit <n>' argument missing"],
    ['', 'expected the name of a command'],
  ] as const) {
    it(`exits with 1 and prints a hint and the help: earshot ${line}`, async () => {
      const { code, stdout, stderr } = await earshot(...line.split(' ').filter(Boolean))

      const [first, blank, usage] = stderr.split('\n')
      assert.deepEqual([code, stdout, first, blank], [1, '', `USAGE: ${message}`, ''])
      assert.match(usage ?? '', /^Usage: earshot /)
    })
  }

  it('prints one JSON value with --json', async () => {
    const { code, stdout } = await earshot('search', 'a', '--limit', '0', '--json')

    const problem = JSON.parse(stdout)
    assert.deepEqual([code, problem.code], [1, 'USAGE'])
    assert.match(problem.detail, /whole number from 1 to 200.*\n\nUsage: earshot search/)
  })

  it('prints no escape sequence or line break of an argument', async () => {
    for (const args of [
      ['--a\x1b[2J\nb'],
      ['jobs', 'a\x1b[2J\nb'],
      ['tag', 'a', '--limit', '\x1b'],
    ]) {
      const { stderr } = await earshot(...args)

      assert.ok(!stderr.includes('\x1b'), stderr)
      assert.doesNotMatch(stderr, /^b/m)
      assert.match(stderr, /\\x1b/)
    }
  })

  it('does not take an option for a value', async () => {
    const { code, stderr } = await earshot('library', '--data', '--json')

    assert.equal(code, 1)
    assert.match(stderr, /^USAGE: option '--data <folder>' .* A value cannot begin with --\./)
  })
})

it('takes everything after -- for an argument', async (test) => {
  const data = join(await temporaryDir(test), 'data')

  const { stderr } = await earshot('tag', '--data', data, '--', '--help')

  assert.match(stderr, /^FILE_NOT_FOUND: No file at --help/)
})

it('shows the defaults of the configuration in the help', async () => {
  const { host, port } = readConfig({}).http

  const { stdout } = await earshot('serve', '--help')

  const help = stdout.replace(/\s+/g, ' ')
  assert.ok(help.includes(`default: "${host}", env: EARSHOT_HOST`), help)
  assert.ok(help.includes(`default: ${port}, env: EARSHOT_PORT`), help)
  assert.ok(help.includes('default: "earshot-data", env: EARSHOT_DATA'), help)
})
