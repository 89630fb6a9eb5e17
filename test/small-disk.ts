import { spawnSync } from 'node:child_process'
import type { TestContext } from 'node:test'
import { fileURLToPath } from 'node:url'
import { temporaryDir } from './workplace.js'

/**
 * Runs a script that is given the folder at which a disk of so many megabytes is mounted, for it alone, and another
 * folder, and answers the JSON that it tells on stdout; undefined, with the test skipped, where none can be mounted.
 */
export async function onSmallDisk<Told>(
  test: TestContext,
  script: URL,
  megabytes: number,
): Promise<Told | undefined> {
  const [disk, elsewhere] = [await temporaryDir(test), await temporaryDir(test)]
  const mount = `mount -t tmpfs -o size=${megabytes}m none '${disk}'`
  if (inNamespace(mount).status !== 0) {
    test.skip('this system lets no test mount a disk of its own')
    return undefined
  }
  const run = `'${process.execPath}' '${fileURLToPath(script)}' '${disk}' '${elsewhere}'`
  const { stdout, stderr } = inNamespace(`${mount} && ${run}`)
  const told = stdout.split('\n').find((line) => line.startsWith('{')) // the test runner adds lines of its own
  if (told === undefined) throw new Error(stderr)
  return JSON.parse(told)
}

const inNamespace = (line: string) =>
  spawnSync('unshare', ['--user', '--map-root-user', '--mount', 'sh', '-c', line], {
    encoding: 'utf8',
  })
