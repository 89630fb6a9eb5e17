import { mkdirSync, readdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { PACKAGE_DIR } from '../../src/config.js'
import { fingerprintOf } from '../../src/encoder/bundle.js'

/** Creates a variant of the starter that uses fewer frames, so its embeddings are different. */
export function anotherBundle(dir: string, name = 'another'): string {
  const starter = join(PACKAGE_DIR, 'models', 'starter')
  const bundle = join(dir, name)
  mkdirSync(bundle)
  for (const file of readdirSync(starter))
    if (file !== 'bundle.json') symlinkSync(join(starter, file), join(bundle, file))
  const { equals, ...manifest } = JSON.parse(readFileSync(join(starter, 'bundle.json'), 'utf8'))
  const changed = { ...manifest, name, visual: { ...manifest.visual, framesPerSegment: 2 } }
  writeFileSync(
    join(bundle, 'bundle.json'),
    JSON.stringify({ ...changed, fingerprint: fingerprintOf(changed) }),
  )
  return bundle
}
