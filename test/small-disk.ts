import { spawnSync } from 'node:child_process'
import type { TestContext } from 'node:test'
import { fileURLToPath } from 'node:url'
import { temporaryDir } from './workplace.js'

/**
 * Mounts a small disk for a script and runs it with the folder of the disk and another folder.
 * Returns the JSON that the script prints. If a mount is not possible, skips the test.
 */
export async function onSmallDisk<Result>(
  test: TestContext,
  script: URL,
  megabytes: number,
): Promise<Result | undefined> {
  const [disk, elsewhere] = [await temporaryDir(test), await temporaryDir(test)]
  const mount = `mount -t tmpfs -o size=${megabytes}m none '${disk}'`
  if (inNamespace(mount).status !== 0) {
    test.skip('this system does not let a test mount a disk')
    return undefined
  }
  const run = `'${process.execPath}' '${fileURLToPath(script)}' '${disk}' '${elsewhere}'`
  const { stdout, stderr } = inNamespace(`${mount} && ${run}`)
  const json = stdout.split('\n').find((line) => line.startsWith('{')) // skips the test runner
  if (json === undefined) throw new Error(stderr)
  return JSON.parse(json)
}

const inNamespace = (line: string) =>
  spawnSync('unshare', ['--user', '--map-root-user', '--mount', 'sh', '-c', line], {
    encoding: 'utf8',
  })
