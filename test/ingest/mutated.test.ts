import assert from 'node:assert/strict'
import { mkdir, readdir } from 'node:fs/promises'
import { join } from 'node:path'
import { it } from 'node:test'
import { ingestPaths } from '../../src/ingest/runner/ingest-paths.js'
import { children } from '../media/helpers.js'
import { writeMutated } from '../media/mutated.js'
import { FIXTURES, fixture, temporaryApp, temporaryDir } from '../workplace.js'

const BROKEN = 40
const LONG = 'odd_one_hour.mkv'

it('ends every fixture and broken copy in a job as a clip or with a reason', async (test) => {
  const app = await temporaryApp(test, { EARSHOT_BUNDLE: fixture('tiny-cavmae') })
  const [broken, temporary] = [join(await temporaryDir(test), 'broken'), await temporaryDir(test)]
  const names = (await readdir(FIXTURES)).filter(
    (name) => /\.\w+$/.test(name) && !/\.(json|md)$/.test(name),
  )
  await mkdir(broken)
  const small = names.filter((name) => name !== LONG).map(fixture)
  await writeMutated(small, broken, BROKEN)
  const before = process.env.TMPDIR
  process.env.TMPDIR = temporary
  test.after(() => {
    if (before === undefined) delete process.env.TMPDIR
    else process.env.TMPDIR = before
  })

  const report = await ingestPaths([FIXTURES, broken], app, {
    ...{ concurrency: 4, ignore: [LONG, '*.onnx'], onWarning: assert.fail, onProgress: () => {} },
  })

  const { catalogue } = app.gallery
  const { state, counts, reasons } = await catalogue.jobs.job(report.job)
  const { indexed, copied, partial, failed } = counts
  assert.equal(state, 'partial')
  assert.equal(indexed + copied + partial + failed, small.length + BROKEN)
  assert.ok(indexed > 0 && partial > 0 && failed > 0, JSON.stringify(counts))
  assert.deepEqual(
    Object.keys(reasons).filter((code) => !/^MEDIA_/.test(code)),
    [],
  )
  assert.equal((await catalogue.counts()).clips, indexed + copied + partial)
  assert.equal((await app.gallery.check()).whole, true)
  assert.deepEqual([await children(), await readdir(temporary)], [0, []])
})
