import assert from 'node:assert/strict'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { it } from 'node:test'
import { major, minVersion, satisfies } from 'semver'
import { PACKAGE_DIR } from '../src/config.js'

interface LockedPackage {
  readonly version?: string
  readonly engines?: { readonly node?: string }
}

const { packages } = JSON.parse(await readFile(join(PACKAGE_DIR, 'package-lock.json'), 'utf8')) as {
  readonly packages: Readonly<Record<string, LockedPackage>>
}
const minimum = minVersion(packages['']?.engines?.node ?? '')?.version as string

it(`depends on no package that refuses Node ${minimum}`, () => {
  const refusing = Object.entries(packages).flatMap(([path, { version, engines }]) =>
    engines?.node && !satisfies(minimum, engines.node)
      ? [`${path} ${version} wants Node ${engines.node}`]
      : [],
  )
  assert.deepEqual(refusing, [])
})

it(`type-checks against Node ${major(minimum)}`, () => {
  const types = packages['node_modules/@types/node']?.version as string
  assert.equal(major(types), major(minimum))
})
