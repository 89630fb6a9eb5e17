import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, it, type TestContext } from 'node:test'
import { temporaryDir } from '../workplace.js'
import { earshot } from './earshot.js'

/** Maps a shell to code that sources the script `$1`, and completes the last of the other words. */
const SHELLS: Readonly<Record<string, string>> = {
  bash: `
    source "$1"; shift
    complete -p earshot | grep -q -- '-F _earshot' || exit 1
    COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); _earshot
    printf '%s\\n' "\${COMPREPLY[@]}"`,
  zsh: `
    compdef() {}; compadd() { shift; print -l -- $@ | grep -- "^$words[CURRENT]" }; _files() {}
    source "$1"; shift
    words=("$@"); CURRENT=$#; _earshot`,
  fish: `
    source $argv[2]
    complete -C (string join -- ' ' $argv[3..-1]) | string replace -r '\\t.*' ''`,
}

const CASES: readonly (readonly [typed: string, ...offered: string[]])[] = [
  ['earshot re', 'reindex', 'restore'],
  ['earshot library p', 'prune'],
  ['earshot jobs re', 'resume', 'retry'],
  ['earshot index --mo', '--mode'],
  ['earshot index --mode ch', 'changed'],
  ['earshot search --limit 3 --to a', 'audio'],
  ['earshot --data jobs library p', 'prune'],
  ['earshot library retry --re', '--reason'],
  ['earshot completion f', 'fish'],
]

describe('completion', () => {
  for (const [shell, code] of Object.entries(SHELLS)) {
    const skip = spawnSync(shell, ['-c', 'exit']).status !== 0 && `${shell} is not installed`

    it(`offers commands, options and values in ${shell}`, { skip }, async (test) => {
      const script = await savedScript(shell, test)

      for (const [typed, ...offered] of CASES) {
        const { stdout, stderr } = spawnSync(shell, [
          '-c',
          code,
          shell,
          script,
          ...typed.split(' '),
        ])
        const words = String(stdout).split('\n').filter(Boolean).sort()
        assert.deepEqual(words, offered, `${typed}: ${stderr}`)
      }
    })
  }

  it('refuses an unknown shell', async () => {
    const { code, stderr } = await earshot('completion', 'csh')

    assert.equal(code, 1)
    assert.match(stderr, /^USAGE: .*Allowed choices are bash, zsh, fish\./)
  })
})

async function savedScript(shell: string, test: TestContext): Promise<string> {
  const path = join(await temporaryDir(test), 'script')
  const { code, stdout, stderr } = await earshot('completion', shell)
  assert.equal(code, 0, stderr)
  await writeFile(path, stdout)
  return path
}
