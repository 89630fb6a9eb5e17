import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { setTimeout } from 'node:timers/promises'
import type { Catalogue, CatalogueHeader } from '../../src/gallery/catalogue/catalogue.js'
import {
  copyClip,
  putClip,
  recordFailure,
  setMissing,
  touchClip,
} from '../../src/gallery/catalogue/write-clips.js'
import {
  type FoundFile,
  type ItemEnd,
  type Job,
  type JobRequest,
  type Lease,
  type LeaseHolder,
  LeaseLost,
} from '../../src/jobs/jobs.js'
import { HASH, newClip, segment } from './catalogue.js'

const STAMP: CatalogueHeader = { fingerprint: 'a'.repeat(64), dimension: 4 }
const REQUEST: JobRequest = {
  sources: ['/library'],
  mode: 'changed',
  include: [],
  ignore: ['drafts'],
  defaultIgnores: true,
  followLinks: false,
  within: [],
}
const ONE: LeaseHolder = { worker: 'one', leaseMs: 60_000 }
const TWO: LeaseHolder = { worker: 'two', leaseMs: 60_000 }
const STALLED = { code: 'MEDIA_STALLED', detail: 'still' } as const
const NOTHING_SKIPPED = { unchanged: [], quarantined: [] }

const found = (...names: string[]): FoundFile[] =>
  names.map((name) => ({ path: `/library/${name}`, bytes: 1, mtimeMs: 2.5 }))
const ended = (lease: Lease, outcome: ItemEnd['outcome'] = 'indexed'): ItemEnd => ({
  lease,
  outcome,
  seconds: 10,
  stageMs: { read: 1, decode: 30, encode: 20 },
})
const leaseLost = (error: unknown) => error instanceof LeaseLost

/** Tests the contract of the jobs of every catalogue. `open` opens a new catalogue each time. */
export function jobsContract(
  name: string,
  open: (stamp: CatalogueHeader) => Promise<Catalogue>,
): void {
  const openNew = () => open(STAMP)

  /** Creates a job that runs, is scanned and has these items. */
  async function running({ jobs, queue }: Catalogue, ...names: string[]): Promise<Job> {
    const { job } = await jobs.create(REQUEST)
    await queue.claimScan({ ...ONE, job: job.id })
    await queue.addFound(job.id, ONE.worker, { files: found(...names), ...NOTHING_SKIPPED })
    await queue.endScan(job.id, ONE.worker)
    return jobs.job(job.id)
  }

  async function claimed({ queue }: Catalogue, count: number, claimant = ONE): Promise<Lease[]> {
    return [...(await queue.claimItems(claimant, count))]
  }

  describe(`the jobs of the ${name} catalogue`, () => {
    it('are made once for a key', async () => {
      await using catalogue = await openNew()
      const { jobs } = catalogue

      const first = await jobs.create(REQUEST, 'key')
      const again = await jobs.create(REQUEST, 'key')
      const other = await jobs.create(REQUEST)

      assert.deepEqual([first.isNew, again.isNew, other.isNew], [true, false, true])
      assert.deepEqual(again.job, first.job)
      assert.equal(first.job.state, 'queued')
      assert.deepEqual(first.job.sources, REQUEST.sources)
      await assert.rejects(jobs.create({ ...REQUEST, mode: 'all' }, 'key'), {
        code: 'JOB_KEY_REUSED',
      })
      assert.deepEqual(
        (await jobs.jobs({ limit: 10 })).map(({ id }) => id),
        [other.job.id, first.job.id],
      )
      assert.deepEqual(await jobs.jobs({ before: first.job.id, limit: 10 }), [])
      await assert.rejects(jobs.job(99), { code: 'JOB_NOT_FOUND' })
    })

    it('keep what has ended, and its key, however many are queued', async () => {
      await using catalogue = await openNew()
      const { jobs } = catalogue
      const { job } = await jobs.create(REQUEST, 'key')
      await jobs.cancel(job.id)
      for (let i = 0; i < 600; i++) await jobs.create(REQUEST)

      const again = await jobs.create(REQUEST, 'key')

      assert.deepEqual([again.isNew, again.job.id, again.job.state], [false, job.id, 'canceled'])
      assert.equal((await jobs.jobs({ limit: 1000 })).length, 601)
    })

    it('keep the 500 that ended last, whenever they were made', async () => {
      await using catalogue = await openNew()
      const { jobs } = catalogue
      const oldest = (await jobs.create(REQUEST)).job
      const others = []
      for (let i = 0; i < 500; i++) others.push((await jobs.create(REQUEST)).job.id)
      for (const id of others) await jobs.cancel(id)
      await jobs.cancel(oldest.id)

      const { job } = await jobs.create(REQUEST)

      const [first, ...rest] = others
      const kept = (await jobs.jobs({ limit: 1000 })).map(({ id }) => id)
      assert.deepEqual(kept, [job.id, ...rest.toReversed(), oldest.id])
      await assert.rejects(jobs.job(first as number), { code: 'JOB_NOT_FOUND' })
    })

    it('end an item in the transaction that puts its clip, or not at all', async () => {
      await using catalogue = await openNew()
      const { id } = await running(catalogue, 'a')
      const [lease] = await claimed(catalogue, 1)
      assert.ok(lease)
      assert.deepEqual(
        [lease.path, lease.bytes, lease.mtimeMs, lease.mode],
        ['/library/a', 1, 2.5, 'changed'],
      )

      const poisoned = { ...segment(10), embeddings: { audio: new Float32Array(4) as never } }
      await assert.rejects(
        putClip(catalogue, newClip('/library/a'), [segment(0), poisoned], ended(lease)),
      )
      assert.equal((await catalogue.jobs.job(id)).counts.running, 1)

      await putClip(catalogue, newClip('/library/a'), [segment(0)], ended(lease))
      assert.equal((await catalogue.jobs.job(id)).counts.indexed, 1)

      await assert.rejects(
        putClip(catalogue, newClip('/library/other'), [segment(0)], ended(lease)),
        leaseLost,
      )
      assert.equal(await catalogue.clipAt('/library/other'), undefined)
    })

    it('give an item to one owner, and take it back when the lease has run out', async () => {
      await using catalogue = await openNew()
      const { id } = await running(catalogue, 'a', 'b')
      const [late] = await claimed(catalogue, 1, { ...ONE, leaseMs: 1 })
      const [kept, none] = await claimed(catalogue, 2, TWO)
      assert.ok(late && kept && none === undefined)
      await setTimeout(5)

      await catalogue.queue.expireLeases()
      const [again] = await claimed(catalogue, 1, TWO)

      assert.equal(again?.item, late.item)
      await assert.rejects(catalogue.commit([{ type: 'endItem', end: ended(late) }]), leaseLost)
      await catalogue.commit([{ type: 'endItem', end: ended(again) }])
      assert.equal((await catalogue.jobs.job(id)).counts.indexed, 1)
      assert.deepEqual([...(await catalogue.queue.leasesOf(TWO.worker)).items], [kept.item])
    })

    it('extend what an owner holds', async () => {
      await using catalogue = await openNew()
      await running(catalogue, 'a')
      await claimed(catalogue, 1, { ...ONE, leaseMs: 20 })

      await catalogue.queue.extendLeases(ONE)
      await setTimeout(40)
      await catalogue.queue.expireLeases()

      assert.equal((await catalogue.queue.leasesOf(ONE.worker)).items.size, 1)
    })

    it('queue the items of a dead owner last, and fail an item that kills its owner', async () => {
      await using catalogue = await openNew()
      const { id } = await running(catalogue, 'killer', 'fine')
      const [killer] = await claimed(catalogue, 1)
      await catalogue.queue.releaseLeases(ONE.worker, 'dead')
      const [next] = await claimed(catalogue, 1)
      assert.deepEqual([killer?.path, next?.path], ['/library/killer', '/library/fine'])
      await catalogue.commit([{ type: 'endItem', end: ended(next as Lease) }])

      for (let deaths = 1; deaths < 10; deaths++) {
        assert.deepEqual((await claimed(catalogue, 1))[0]?.path, '/library/killer')
        assert.deepEqual(await catalogue.queue.workers(), [ONE.worker])
        await catalogue.queue.releaseLeases(ONE.worker, 'dead')
      }

      assert.deepEqual((await catalogue.jobs.job(id)).reasons, { ITEM_INTERRUPTED: 1 })
      assert.equal((await catalogue.failureAt('/library/killer'))?.code, 'ITEM_INTERRUPTED')
      assert.deepEqual(await claimed(catalogue, 1), [])
    })

    it('count no death where an owner closes in good order', async () => {
      await using catalogue = await openNew()
      const { id } = await running(catalogue, 'a')
      for (let round = 0; round < 20; round++) {
        assert.equal((await claimed(catalogue, 1)).length, 1)
        await catalogue.queue.releaseLeases(ONE.worker, 'closing')
      }

      assert.equal((await catalogue.jobs.job(id)).counts.queued, 1)
    })

    it('put items off that may do better later, and count the attempts', async () => {
      await using catalogue = await openNew()
      await running(catalogue, 'a')
      const [lease] = await claimed(catalogue, 1)
      await catalogue.queue.postponeItem(lease as Lease, STALLED, 30)

      assert.deepEqual(await claimed(catalogue, 1), [])
      await setTimeout(50)
      const [again] = await claimed(catalogue, 1)

      assert.equal(again?.attempts, 1)
    })

    it('are scanned by one at a time where their sources overlap', async () => {
      await using catalogue = await openNew()
      const { jobs, queue } = catalogue
      const whole = (await jobs.create(REQUEST)).job
      const inside = (await jobs.create({ ...REQUEST, sources: ['/library/deep'] })).job
      const apart = (await jobs.create({ ...REQUEST, sources: ['/library-two'] })).job

      assert.equal((await queue.claimScan(ONE))?.id, whole.id)
      assert.equal((await queue.claimScan(TWO))?.id, apart.id)
      assert.equal(await queue.claimScan(TWO), undefined)
      await queue.endScan(whole.id, ONE.worker)
      assert.equal((await queue.claimScan(TWO))?.id, inside.id)
    })

    it('are scanned again if their scanner dies, and count nothing twice', async () => {
      await using catalogue = await openNew()
      const { jobs, queue } = catalogue
      const { id } = (await jobs.create(REQUEST)).job
      await queue.claimScan(ONE)
      await queue.addFound(id, ONE.worker, {
        files: found('a'),
        unchanged: ['/library/u'],
        quarantined: ['/library/q'],
      })
      const [lease] = await claimed(catalogue, 1)
      await catalogue.commit([{ type: 'endItem', end: ended(lease as Lease) }])
      await queue.releaseLeases(ONE.worker, 'dead')

      assert.equal((await queue.claimScan(TWO))?.id, id)
      const skipped = { unchanged: ['/library/u', '/library/a'], quarantined: ['/library/q'] }
      await queue.addFound(id, TWO.worker, { files: found('a', 'b'), ...skipped })
      await assert.rejects(
        queue.addFound(id, ONE.worker, { files: found('c'), ...NOTHING_SKIPPED }),
        leaseLost,
      )
      await assert.rejects(queue.endScan(id, ONE.worker), leaseLost)
      await queue.endScan(id, TWO.worker)

      const { counts, quarantined } = await jobs.job(id)
      assert.deepEqual([counts.indexed, counts.queued, counts.unchanged, quarantined], [1, 1, 1, 1])
    })

    it('serve each job in turn', async () => {
      await using catalogue = await openNew()
      const first = await running(catalogue, 'a', 'b', 'c')
      const second = await running(catalogue, 'x', 'y')

      const leases = await claimed(catalogue, 4)

      assert.deepEqual(
        leases.map(({ job }) => job),
        [first.id, second.id, first.id, second.id],
      )
      assert.deepEqual(await claimed(catalogue, 4, { ...TWO, job: second.id }), [])
    })

    it('pause, giving up what is under way, and resume', async () => {
      await using catalogue = await openNew()
      const { jobs, queue } = catalogue
      const { id } = await running(catalogue, 'a', 'b')
      const [lease] = await claimed(catalogue, 1)

      const paused = await jobs.pause(id, { code: 'DISK_FULL', detail: 'no room' })

      assert.deepEqual([paused.state, paused.counts.queued], ['paused', 2])
      assert.deepEqual(paused.stop, { code: 'DISK_FULL', detail: 'no room' })
      assert.deepEqual(await claimed(catalogue, 1), [])
      await assert.rejects(
        catalogue.commit([{ type: 'endItem', end: ended(lease as Lease) }]),
        leaseLost,
      )
      await assert.rejects(jobs.pause(id), { code: 'JOB_STATE' })

      const resumed = await jobs.resume(id)
      assert.deepEqual([resumed.state, resumed.isScanned, resumed.stop], ['queued', false, null])
      assert.equal((await queue.claimScan(ONE))?.id, id)
      assert.equal((await claimed(catalogue, 9)).length, 2)
    })

    it('are canceled at any time before they end', async () => {
      await using catalogue = await openNew()
      const { jobs } = catalogue
      const { id } = await running(catalogue, 'a', 'b', 'c')
      const [done, open] = await claimed(catalogue, 2)
      await catalogue.commit([{ type: 'endItem', end: ended(done as Lease) }])

      const canceled = await jobs.cancel(id)

      assert.deepEqual(
        [canceled.state, canceled.counts.indexed, canceled.counts.canceled],
        ['canceled', 1, 2],
      )
      assert.ok(canceled.endedAt)
      await assert.rejects(
        putClip(catalogue, newClip('/library/b'), [segment(0)], ended(open as Lease)),
        leaseLost,
      )
      for (const action of ['pause', 'resume', 'cancel', 'retry'] as const) {
        await assert.rejects(jobs[action](id), { code: 'JOB_STATE' })
      }
    })

    it('try again what failed: all, or for a reason', async () => {
      await using catalogue = await openNew()
      const { jobs, queue } = catalogue
      const { id } = await running(catalogue, 'a', 'b')
      const [a, b] = await claimed(catalogue, 2)
      for (const [lease, code] of [
        [a, 'MEDIA_EMPTY'],
        [b, 'MEDIA_STALLED'],
      ] as const) {
        assert.ok(lease)
        await recordFailure(
          catalogue,
          { path: lease.path, code, detail: code, bytes: 1, mtimeMs: 2 },
          lease,
        )
      }
      await queue.finishJob(id)
      assert.deepEqual((await jobs.job(id)).state, 'failed')
      assert.deepEqual((await jobs.job(id)).reasons, { MEDIA_EMPTY: 1, MEDIA_STALLED: 1 })

      await assert.rejects(jobs.retry(id, ['MEDIA_IS_TEXT']), { code: 'JOB_STATE' })
      const tried = await jobs.retry(id, ['MEDIA_STALLED'])
      assert.deepEqual([tried.state, tried.counts.queued, tried.counts.failed], ['queued', 1, 1])
      await queue.claimScan(ONE)
      const [again] = await claimed(catalogue, 9)
      assert.equal(again?.path, '/library/b')
      await putClip(catalogue, newClip('/library/b'), [segment(0)], ended(again))
      await queue.finishJob(id)

      assert.equal((await jobs.job(id)).state, 'partial')
      assert.equal((await jobs.retry(id)).counts.queued, 1)
    })

    it('end when nothing is left, in the state that their items say', async () => {
      for (const [outcome, state] of [
        ['indexed', 'succeeded'],
        ['partial', 'partial'],
      ] as const) {
        await using catalogue = await openNew()
        const { jobs, queue } = catalogue
        const { id } = await running(catalogue, 'a')
        assert.deepEqual(await queue.jobsToFinish({}), [])
        await queue.finishJob(id)
        assert.equal((await jobs.job(id)).state, 'running', 'an item is left')

        const [lease] = await claimed(catalogue, 1)
        await catalogue.commit([{ type: 'endItem', end: ended(lease as Lease, outcome) }])
        assert.deepEqual(await queue.jobsToFinish({}), [id])
        await queue.finishJob(id)

        assert.equal((await jobs.job(id)).state, state)
        assert.deepEqual(await queue.jobsToFinish({}), [])
      }
    })

    it('show their items in pages, and in the order in which they ended', async () => {
      await using catalogue = await openNew()
      const { jobs } = catalogue
      const { id } = await running(catalogue, 'a', 'b', 'c')
      const before = (await jobs.progress(id)).revision
      const [a, b, c] = await claimed(catalogue, 3)
      for (const lease of [c, a])
        await catalogue.commit([{ type: 'endItem', end: ended(lease as Lease) }])

      const page = await jobs.items(id, { limit: 2 })
      const rest = await jobs.items(id, { after: page[1]?.id, limit: 2 })
      const ends = await jobs.ended(id, { after: before, limit: 10 })

      assert.deepEqual(
        [...page, ...rest].map(({ path }) => path),
        ['/library/a', '/library/b', '/library/c'],
      )
      assert.deepEqual(
        (await jobs.items(id, { state: 'running', limit: 9 })).map(({ id }) => id),
        [b?.item],
      )
      assert.deepEqual(
        ends.map(({ path }) => path),
        ['/library/c', '/library/a'],
      )
      assert.deepEqual(
        await jobs.ended(id, { after: (await jobs.progress(id)).revision, limit: 10 }),
        [],
      )
    })

    it('say how fast they go and what they wait for', async () => {
      await using catalogue = await openNew()
      const { jobs } = catalogue
      const { id } = await running(catalogue, 'a', 'b', 'c')
      const [before] = await jobs.figures([await jobs.progress(id)])
      assert.equal(before?.bottleneck, null)
      for (const lease of await claimed(catalogue, 2))
        await catalogue.commit([{ type: 'endItem', end: ended(lease) }])

      const { job: idle } = await jobs.create(REQUEST)
      const [none, some] = await jobs.figures([idle, await jobs.progress(id)])

      assert.deepEqual([none?.clipsPerSecond, none?.etaSeconds], [0, null])
      assert.ok(some)
      const { clipsPerSecond, realtime, bottleneck, etaSeconds } = some
      assert.ok(clipsPerSecond > 0)
      assert.ok(Math.abs(realtime / clipsPerSecond - 10) < 1e-9)
      assert.equal(bottleneck, 'decode')
      assert.ok(Math.abs((etaSeconds ?? 0) * clipsPerSecond - 1) < 1e-9)
    })

    it('are listed with their counts, each its own', async () => {
      await using catalogue = await openNew()
      const { id } = await running(catalogue, 'a', 'b')
      const { job: other } = await catalogue.jobs.create({ ...REQUEST, mode: 'all' })

      const page = await catalogue.jobs.jobs({ limit: 10 })

      assert.deepEqual(
        page.map((job) => [job.id, job.counts.queued]),
        [
          [other.id, 0],
          [id, 2],
        ],
      )
      assert.deepEqual(page[1], await catalogue.jobs.job(id))
    })

    it('leave their sources behind, without those inside others', async () => {
      await using catalogue = await openNew()
      const { jobs, files } = catalogue
      for (const sources of [['/a/b/c.wav', '/x'], ['/a/b'], ['/a/b/d', '/ab'], ['/x']]) {
        await jobs.create({ ...REQUEST, sources })
      }

      assert.deepEqual(await files.sources(), ['/a/b', '/ab', '/x'])
    })

    it('keep warnings, of very many the first', async () => {
      await using catalogue = await openNew()
      const { id } = await running(catalogue, 'a')
      for (let i = 0; i < 300; i++) await catalogue.queue.addWarning(id, `warning ${i}`)

      const { warnings } = await catalogue.jobs.job(id)

      assert.deepEqual([warnings[0], warnings.length], ['warning 0', 200])
    })

    it('are found again by their request until they end', async () => {
      await using catalogue = await openNew()
      const { id } = await running(catalogue, 'a')
      assert.equal((await catalogue.jobs.unfinished({ ...REQUEST }))?.id, id)
      assert.equal(await catalogue.jobs.unfinished({ ...REQUEST, followLinks: true }), undefined)

      await catalogue.jobs.cancel(id)

      assert.equal(await catalogue.jobs.unfinished(REQUEST), undefined)
    })
  })

  describe(`the files of the ${name} catalogue`, () => {
    it('lend what was made of one to another of the same content', async () => {
      await using catalogue = await openNew()
      const labels = [{ mid: '/m/0bt9lr', name: 'Dog', probability: 0.25 }]
      const model = await putClip(catalogue, newClip('/a', { notes: ['COVER_ONLY'] }), [
        segment(0, { labels }),
        segment(10),
      ])
      const head = await catalogue.log.head()
      const file = { path: '/b', hash: HASH, bytes: 9, mtimeMs: 8 }

      const copy = await copyClip(catalogue, model, file)

      assert.ok(copy && copy.id !== model.id)
      const { id: _, indexedAt: __, ...rest } = copy
      const { id: ___, indexedAt: ____, ...expected } = { ...model, ...file, name: 'b' }
      assert.deepEqual(rest, expected)
      assert.deepEqual(await catalogue.tags(copy.id), await catalogue.tags(model.id))
      assert.deepEqual(
        await catalogue.embeddings(copy.id, 'audio'),
        await catalogue.embeddings(model.id, 'audio'),
      )
      assert.equal((await catalogue.log.read(head, 10)).changes.length, 5)
      await putClip(catalogue, newClip('/a', { hash: 'e'.repeat(64) }), [segment(0)])
      assert.equal(
        await copyClip(catalogue, model, { ...file, path: '/c' }),
        undefined,
        'it has another content by now',
      )
    })

    it('are known by path, with clip or failure', async () => {
      await using catalogue = await openNew()
      const { id } = await putClip(catalogue, newClip('/a'), [segment(0)])
      await recordFailure(catalogue, {
        path: '/bad',
        code: 'MEDIA_EMPTY',
        detail: '',
        bytes: 0,
        mtimeMs: 3,
      })

      const known = await catalogue.files.known(['/a', '/bad', '/new', '/o\'dd\n"name'])

      assert.deepEqual([...known.keys()].sort(), ['/a', '/bad'])
      const facts = { bytes: 1234, mtimeMs: 1_700_000_000_123.456 }
      assert.deepEqual(known.get('/a'), { clip: { id, ...facts, isMissing: false }, failure: null })
      assert.deepEqual(known.get('/bad'), {
        clip: null,
        failure: { code: 'MEDIA_EMPTY', bytes: 0, mtimeMs: 3 },
      })
    })

    it('are found inside a folder only', async () => {
      await using catalogue = await openNew()
      for (const path of ['/a/x', '/a/b/y', '/a-b', '/a b/z', '/a', '/b/a/x']) {
        await putClip(catalogue, newClip(path), [segment(0)])
      }
      const paths = async (folder: string, after?: string) =>
        (await catalogue.files.clipsUnder(folder, { after, limit: 2 })).map(({ path }) => path)

      assert.deepEqual(await paths('/a'), ['/a', '/a/b/y'])
      assert.deepEqual(await paths('/a', '/a/b/y'), ['/a/x'])
      assert.equal(await catalogue.files.countUnder('/a'), 3)
      assert.equal(await catalogue.files.countUnder('/'), 6)
    })

    it('are known again by size, time and quick hash', async () => {
      await using catalogue = await openNew()
      const clip = await putClip(catalogue, newClip('/a', { quickHash: 'quick' }), [segment(0)])
      const { bytes, mtimeMs } = clip

      assert.deepEqual(
        await catalogue.files.findByQuickHash({ bytes, mtimeMs, quickHash: 'quick' }),
        [clip],
      )
      assert.deepEqual(
        await catalogue.files.findByQuickHash({ bytes: bytes + 1, mtimeMs, quickHash: 'quick' }),
        [],
      )
    })

    it('are missing since the first time, until they are there again', async () => {
      await using catalogue = await openNew()
      const clip = await putClip(catalogue, newClip('/a'), [segment(0)])
      await setMissing(catalogue, [clip.id], true)
      const [first] = await catalogue.files.missingClips({ limit: 9 })
      await setTimeout(5)
      await setMissing(catalogue, [clip.id], true)

      assert.deepEqual(await catalogue.files.missingClips({ limit: 9 }), [first])
      assert.ok(first && Date.now() - Date.parse(first.missingSince) < 60_000)
      assert.equal((await catalogue.files.known(['/a'])).get('/a')?.clip?.isMissing, true)
      await touchClip(catalogue, clip.id, clip)
      assert.deepEqual(await catalogue.files.missingClips({ limit: 9 }), [])
    })
  })
}
