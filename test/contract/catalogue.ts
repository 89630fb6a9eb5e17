import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import type { EncodedSegment } from '../../src/domain/clip.js'
import type { Modality } from '../../src/domain/modality.js'
import type { Catalogue, CatalogueHeader } from '../../src/gallery/catalogue/catalogue.js'
import type { NewClip } from '../../src/gallery/catalogue/changes.js'
import {
  copyClip,
  importClip,
  importCopy,
  moveClip,
  putClip,
  recordFailure,
  removeClip,
  touchClip,
} from '../../src/gallery/catalogue/write-clips.js'
import { unit } from './vectors.js'

const STAMP: CatalogueHeader = { fingerprint: 'a'.repeat(64), dimension: 4 }
const DOG = { mid: '/m/0bt9lr', name: 'Dog', probability: 0.25 }
const FAILURE = { path: '/bad', code: 'MEDIA_DAMAGED', detail: 'cut', bytes: 7, mtimeMs: 1.5 }
const RAIN = { mid: '/m/06mb1', name: 'Rain', probability: 0.75 }

export const HASH = 'f'.repeat(64)

export const newClip = (
  path: string,
  more: Partial<NewClip> & { readonly hash?: string } = {},
): NewClip & { readonly hash: string } => ({
  path,
  hash: HASH,
  bytes: 1234,
  mtimeMs: 1_700_000_000_123.456,
  seconds: 20.5,
  notes: [],
  ...more,
})

export const segment = (start: number, more: Partial<EncodedSegment> = {}): EncodedSegment => ({
  start,
  end: start + 10,
  embeddings: { audio: unit([1, start, 0, 0]), visual: unit([0, 0, 1, start]) },
  labels: [],
  ...more,
})

/** Tests the contract of every catalogue. `newPlace` returns a function that opens a new place. */
export function catalogueContract(
  name: string,
  newPlace: () => Promise<(stamp: CatalogueHeader) => Promise<Catalogue>>,
): void {
  const openNew = async () => (await newPlace())(STAMP)

  describe(`the ${name} catalogue`, () => {
    it('gives back the clip that was put', async () => {
      await using catalogue = await openNew()
      const given = newClip('/library/rain.mp4', { notes: ['COVER_ONLY', 'DAMAGED'] })

      const clip = await putClip(catalogue, given, [segment(0), segment(10)])

      assert.match(clip.id, /^[\w-]{8,40}$/)
      assert.ok(Date.now() - Date.parse(clip.indexedAt) < 60_000)
      assert.deepEqual(clip, {
        ...given,
        name: 'rain.mp4',
        id: clip.id,
        indexedAt: clip.indexedAt,
        hasAudio: true,
        hasVisual: true,
        metadata: {},
        state: 'indexed',
      })
      assert.deepEqual(await catalogue.clip(clip.id), clip)
      assert.deepEqual(await catalogue.clipAt('/library/rain.mp4'), clip)
    })

    it('calls a clip by the name that was given, or by the last part of its path', async () => {
      await using catalogue = await openNew()
      const upload = await putClip(catalogue, newClip('/store/ab12', { name: 'rain.mp4' }), [
        segment(0),
      ])
      const plain = await putClip(catalogue, newClip('/a/b.wav', { name: 'b.wav' }), [segment(0)])
      const copy = await copyClip(catalogue, plain, { ...newClip('/store/cd34'), name: 'copy.wav' })

      const moved = await moveClip(catalogue, plain, { path: '/c/d.wav', bytes: 1, mtimeMs: 1 })

      const names = [upload, plain, copy, moved].map((clip) => clip?.name)
      assert.deepEqual(names, ['rain.mp4', 'b.wav', 'copy.wav', 'd.wav'])
      assert.equal((await catalogue.clip(upload.id))?.name, 'rain.mp4')
    })

    it('knows nothing of clips that it does not have', async () => {
      await using catalogue = await openNew()
      const { id } = await putClip(catalogue, newClip('/a'), [segment(0)])
      const stranger = `${id.slice(0, -1)}${id.endsWith('0') ? '1' : '0'}`

      for (const unknown of [stranger, 'nonsense', '', '../../etc']) {
        assert.equal(await catalogue.clip(unknown), undefined)
        assert.equal(await removeClip(catalogue, unknown), false)
        assert.deepEqual(await catalogue.tags(unknown), [])
        assert.deepEqual(await catalogue.segmentIds(unknown), [])
        assert.deepEqual(await catalogue.embeddings(unknown, 'audio'), [])
        await assert.rejects(touchClip(catalogue, unknown, { bytes: 1, mtimeMs: 1 }), {
          code: 'CLIP_NOT_FOUND',
        })
      }
      assert.equal(await catalogue.clipAt('/b'), undefined)
      assert.deepEqual([...(await catalogue.clipsById([stranger, id])).keys()], [id])
    })

    it('gives back segments, embeddings and labels in order of time', async () => {
      await using catalogue = await openNew()
      const halves = [
        segment(10, { labels: [RAIN, DOG] }),
        segment(0, { embeddings: { visual: unit([1, 2, 3, 4]) } }),
      ]
      const clip = await putClip(catalogue, newClip('/a'), halves)

      const [first = 0, second = 0] = await catalogue.segmentIds(clip.id)

      assert.deepEqual(
        await catalogue.segmentsById([second, first, 999]),
        new Map([
          [first, { id: first, clip: clip.id, start: 0, end: 10 }],
          [second, { id: second, clip: clip.id, start: 10, end: 20 }],
        ]),
      )
      assert.deepEqual(await catalogue.embeddings(clip.id, 'audio'), [unit([1, 10, 0, 0])])
      assert.deepEqual(await catalogue.embeddings(clip.id, 'visual'), [
        unit([1, 2, 3, 4]),
        unit([0, 0, 1, 10]),
      ])
      assert.deepEqual(await catalogue.tags(clip.id), [
        { start: 0, end: 10, labels: [] },
        { start: 10, end: 20, labels: [RAIN, DOG] },
      ])
    })

    it('says which halves of a clip are indexed', async () => {
      await using catalogue = await openNew()
      const sound = await putClip(catalogue, newClip('/a'), [
        segment(0, { embeddings: { audio: unit([1, 0, 0, 0]) } }),
      ])
      const picture = await putClip(catalogue, newClip('/b'), [
        segment(0, { embeddings: { visual: unit([1, 0, 0, 0]) } }),
      ])

      assert.deepEqual([sound.hasAudio, sound.hasVisual], [true, false])
      assert.deepEqual([picture.hasAudio, picture.hasVisual], [false, true])
    })

    it('replaces the clip of a path, keeps its id, and never reuses a segment id', async () => {
      await using catalogue = await openNew()
      const before = await putClip(catalogue, newClip('/a'), [
        segment(0, { labels: [DOG] }),
        segment(10),
      ])
      const oldIds = await catalogue.segmentIds(before.id)

      const after = await putClip(catalogue, newClip('/a', { hash: 'e'.repeat(64) }), [
        segment(0, { labels: [RAIN] }),
      ])
      const newIds = await catalogue.segmentIds(before.id)

      assert.equal(after.id, before.id)
      assert.equal((await catalogue.clip(before.id))?.hash, 'e'.repeat(64))
      assert.ok(newIds.every((id) => id > Math.max(...oldIds)))
      assert.deepEqual((await catalogue.segmentsById(oldIds)).size, 0)
      assert.deepEqual(await catalogue.tags(after.id), [{ start: 0, end: 10, labels: [RAIN] }])
      assert.deepEqual(await catalogue.counts(), {
        clips: 1,
        segments: 1,
        embeddings: { audio: 1, visual: 1 },
        failures: 0,
      })
    })

    it('removes a clip with all that belongs to it', async () => {
      await using catalogue = await openNew()
      const { id } = await putClip(catalogue, newClip('/a'), [segment(0, { labels: [DOG] })])
      const [old = 0] = await catalogue.segmentIds(id)

      assert.equal(await removeClip(catalogue, id), true)
      const again = await putClip(catalogue, newClip('/a'), [segment(0)])

      assert.notEqual(again.id, id)
      assert.equal(await catalogue.clip(id), undefined)
      assert.equal((await catalogue.segmentsById([old])).size, 0)
      assert.ok(((await catalogue.segmentIds(again.id))[0] ?? 0) > old)
    })

    it('touches a clip', async () => {
      await using catalogue = await openNew()
      const clip = await putClip(catalogue, newClip('/a'), [segment(0)])

      await touchClip(catalogue, clip.id, { bytes: 99, mtimeMs: 5.5 })

      assert.deepEqual(await catalogue.clip(clip.id), { ...clip, bytes: 99, mtimeMs: 5.5 })
    })

    it('moves a clip to another path, once, with all that belongs to it', async () => {
      await using catalogue = await openNew()
      const clip = await putClip(catalogue, newClip('/a'), [segment(0)])
      await recordFailure(catalogue, {
        path: '/b',
        code: 'MEDIA_EMPTY',
        detail: '-',
        bytes: 0,
        mtimeMs: 0,
      })
      const [segmentId] = await catalogue.segmentIds(clip.id)
      const { cursor } = await catalogue.log.read(0, 100)

      const moved = await moveClip(catalogue, clip, { path: '/b', bytes: 7, mtimeMs: 8 })

      assert.deepEqual(moved, { ...clip, path: '/b', name: 'b', bytes: 7, mtimeMs: 8 })
      assert.deepEqual(await catalogue.clipAt('/b'), moved)
      assert.equal(await catalogue.clipAt('/a'), undefined)
      assert.deepEqual(await catalogue.segmentIds(clip.id), [segmentId])
      assert.equal(await catalogue.failureAt('/b'), undefined)
      const { changes } = await catalogue.log.read(cursor, 100)
      assert.deepEqual(
        changes.map(({ op }) => op),
        ['attributes'],
        'no embedding was added or removed',
      )
      assert.equal(await moveClip(catalogue, clip, { path: '/c', bytes: 7, mtimeMs: 8 }), undefined)
    })

    it('writes all changes of a commit or none', async () => {
      await using catalogue = await openNew()
      const clip = await putClip(catalogue, newClip('/a'), [segment(0)])
      const before = [await catalogue.counts(), await catalogue.log.head()]
      const touch = { type: 'touchClip', id: clip.id, file: { bytes: 1, mtimeMs: 1 } } as const
      const stale = {
        type: 'moveClip',
        id: clip.id,
        ifPath: '/elsewhere',
        file: { path: '/c', bytes: 1, mtimeMs: 1 },
      } as const

      const result = await catalogue.commit([
        touch,
        { type: 'putClip', clip: newClip('/b'), segments: [segment(0)] },
        { type: 'recordFailure', failure: { ...FAILURE, path: '/d' } },
        stale,
      ])

      assert.deepEqual(result, { isCommitted: false, conflict: stale })
      assert.deepEqual([await catalogue.counts(), await catalogue.log.head()], before)
      assert.deepEqual(await catalogue.clip(clip.id), clip)
      assert.deepEqual(await catalogue.commit([touch]), { isCommitted: true, clips: [] })
    })

    it('keeps metadata with a clip, and logs that it changed', async () => {
      await using catalogue = await openNew()
      const clip = await putClip(catalogue, newClip('/a'), [segment(0)])
      const metadata = { project: 'Tide', take: 3, isApproved: true }
      const { cursor } = await catalogue.log.read(0, 100)

      await catalogue.commit([{ type: 'setMetadata', id: clip.id, metadata }])
      const { changes } = await catalogue.log.read(cursor, 100)
      const again = await putClip(catalogue, newClip('/a', { hash: 'e'.repeat(64) }), [segment(0)])

      assert.deepEqual((await catalogue.clip(clip.id))?.metadata, metadata)
      assert.deepEqual(again.metadata, metadata, 'new content has the metadata of its clip')
      const [change] = changes
      assert.ok(change?.op === 'attributes' && changes.length === 1)
      assert.equal(change.clip, clip.id)
      assert.deepEqual(
        Object.entries(change.attributes).filter(([name]) => name.startsWith('meta.')),
        [
          ['meta.project', 'Tide'],
          ['meta.take', 3],
          ['meta.isApproved', true],
        ],
      )
    })

    it('keeps the events of a clip, in order of time, until they are replaced', async () => {
      await using catalogue = await openNew()
      const { id } = await putClip(catalogue, newClip('/a'), [segment(0)])
      const bark = { ...DOG, start: 3.2, end: 4.16, source: 'both' } as const
      const rain = { ...RAIN, start: 0, end: 10, source: 'audio' } as const

      await catalogue.commit([{ type: 'putEvents', id, events: [bark, rain] }])
      assert.deepEqual(await catalogue.events(id), [rain, bark])
      await catalogue.commit([{ type: 'putEvents', id, events: [bark] }])
      assert.deepEqual(await catalogue.events(id), [bark])
      await removeClip(catalogue, id)

      assert.deepEqual(await catalogue.events(id), [])
      const lost = { type: 'putEvents', id, events: [bark] } as const
      assert.deepEqual(await catalogue.commit([lost]), { isCommitted: false, conflict: lost })
    })

    it('finds clips by their content', async () => {
      await using catalogue = await openNew()
      const first = await putClip(catalogue, newClip('/a'), [segment(0)])
      const second = await putClip(catalogue, newClip('/b'), [segment(0)])
      await putClip(catalogue, { ...newClip('/c'), hash: 'other' }, [segment(0)])

      assert.deepEqual(await catalogue.clipsWithHash(HASH), [first, second])
    })

    it('pages through clips in the order of arrival, even past a removed clip', async () => {
      await using catalogue = await openNew()
      for (const path of ['/d', '/a', '/c', '/b'])
        await putClip(catalogue, newClip(path), [segment(0)])
      await putClip(catalogue, newClip('/d'), [segment(0)])

      const first = await catalogue.clips({ limit: 2 })
      await removeClip(catalogue, first[1]?.id ?? '')
      const second = await catalogue.clips({ after: first[1]?.id, limit: 2 })

      assert.deepEqual(
        [...first, ...second].map(({ path }) => path),
        ['/d', '/a', '/c', '/b'],
      )
      assert.deepEqual(await catalogue.clips({ after: second[1]?.id, limit: 2 }), [])
      await assert.rejects(catalogue.clips({ after: 'nonsense', limit: 2 }), {
        code: 'CLIP_NOT_FOUND',
      })
    })

    it('keeps a failure until the file is indexed', async () => {
      await using catalogue = await openNew()
      const failure = FAILURE
      await recordFailure(catalogue, { ...failure, code: 'MEDIA_EMPTY' })
      await recordFailure(catalogue, failure)

      const { failedAt = '', ...found } = (await catalogue.failureAt('/bad')) ?? {}
      assert.deepEqual(found, failure)
      assert.deepEqual(await catalogue.failures({ limit: 10 }), [{ ...failure, failedAt }])
      assert.equal((await catalogue.counts()).failures, 1)
      await putClip(catalogue, newClip('/bad'), [segment(0)])

      assert.equal(await catalogue.failureAt('/bad'), undefined)
      assert.deepEqual(await catalogue.failures({ limit: 10 }), [])
    })

    it('logs every added or removed embedding, except puts that a drop reverts', async () => {
      await using catalogue = await openNew()
      assert.equal(await catalogue.log.head(), 0)
      const { id, indexedAt } = await putClip(catalogue, newClip('/a'), [
        segment(0, { labels: [DOG] }),
      ])
      const [gone = 0] = await catalogue.segmentIds(id)
      const attributes = {
        path: '/a',
        seconds: 20.5,
        addedAt: indexedAt,
        hasAudio: true,
        hasVisual: true,
      }
      const labels = { 'label./m/0bt9lr': 0.25 }
      const added = { op: 'put', segment: gone, clip: id, attributes: labels }
      assert.deepEqual(
        (await catalogue.log.read(0, 10)).changes.map(({ seq: _, ...change }) => change),
        [
          { op: 'attributes', clip: id, attributes },
          { ...added, modality: 'audio', vector: unit([1, 0, 0, 0]) },
          { ...added, modality: 'visual', vector: unit([0, 0, 1, 0]) },
        ],
      )

      await putClip(catalogue, newClip('/a'), [
        segment(10, { embeddings: { audio: unit([0, 1, 0, 0]) } }),
      ])
      const [kept = 0] = await catalogue.segmentIds(id)
      const page = await catalogue.log.read(0, 3)
      const rest = await catalogue.log.read(page.cursor, 10)

      assert.deepEqual(
        page.changes.map(({ op }) => op),
        ['attributes'],
      )
      assert.ok(page.cursor > 0)
      assert.deepEqual(
        rest.changes.map((change) => [change.op, 'segment' in change ? change.segment : id]),
        [
          ['drop', gone],
          ['attributes', id],
          ['put', kept],
        ],
      )
      assert.equal(rest.cursor, await catalogue.log.head())
      assert.deepEqual(await catalogue.log.read(rest.cursor, 10), {
        changes: [],
        cursor: rest.cursor,
        compactedUpTo: 0,
      })
    })

    it('forgets reverted changes up to a row, and reports it', async () => {
      await using catalogue = await openNew()
      await putClip(catalogue, newClip('/a'), [segment(0)])
      await putClip(catalogue, newClip('/a'), [segment(10)])
      const upTo = await catalogue.log.head()
      const mark = await catalogue.log.historyTokenAt(upTo)
      await putClip(catalogue, newClip('/a'), [segment(20)])
      const head = await catalogue.log.head()

      await catalogue.log.compact(upTo)
      await catalogue.log.compact(1)
      const { changes, cursor, compactedUpTo } = await catalogue.log.read(0, 100)

      assert.deepEqual([compactedUpTo, cursor, await catalogue.log.head()], [upTo, head, head])
      assert.equal(
        await catalogue.log.historyTokenAt(upTo),
        mark,
        'who stands there knows its history again',
      )
      assert.deepEqual(
        changes.map(({ op }) => op),
        ['drop', 'attributes', 'put', 'put'],
      )
    })

    it('marks every row of the log as no other catalogue does', async () => {
      const [one, two] = [await openNew(), await openNew()]
      for (const catalogue of [one, two]) await putClip(catalogue, newClip('/a'), [segment(0)])

      const marks = [
        await one.log.historyTokenAt(1),
        await one.log.historyTokenAt(2),
        await two.log.historyTokenAt(1),
        await two.log.historyTokenAt(2),
      ]

      assert.equal(new Set(marks).size, 4)
      assert.equal(await one.log.historyTokenAt(4), undefined)
      for (const catalogue of [one, two]) await catalogue[Symbol.asyncDispose]()
    })

    it('adopts a clip under its former id and replaces a clip that conflicts', async () => {
      await using elsewhere = await openNew()
      await putClip(elsewhere, newClip('/first'), [segment(0)])
      const clip = await putClip(elsewhere, newClip('/a'), [segment(0), segment(10)])
      await using catalogue = await openNew()
      await putClip(catalogue, newClip('/a'), [segment(0)])

      await importClip(catalogue, clip, [segment(0, { labels: [DOG] })])
      await importClip(catalogue, clip, [segment(0, { labels: [RAIN] })])
      const next = await putClip(catalogue, newClip('/b'), [segment(0)])

      const found = await catalogue.clip(clip.id)
      assert.deepEqual(found, { ...clip, indexedAt: found?.indexedAt })
      assert.deepEqual(await catalogue.clipAt('/a'), found)
      assert.deepEqual(
        (await catalogue.tags(clip.id)).flatMap(({ labels }) => labels),
        [RAIN],
      )
      assert.equal((await catalogue.counts()).clips, 2)
      assert.ok(next.id.slice(0, 7) > clip.id.slice(0, 7), 'numbers go on from there')
    })

    it('adopts a clip with what was made of another of the same content', async () => {
      await using elsewhere = await openNew()
      await putClip(elsewhere, newClip('/first'), [segment(0)])
      const clip = await putClip(elsewhere, newClip('/a'), [segment(50)])
      await using catalogue = await openNew()
      const model = await putClip(catalogue, newClip('/model'), [
        segment(0, { labels: [DOG] }),
        segment(10),
      ])

      assert.equal(await importCopy(catalogue, { ...clip, hash: HASH }, model), true)

      const found = await catalogue.clip(clip.id)
      assert.deepEqual(found, { ...clip, indexedAt: found?.indexedAt })
      assert.deepEqual(await catalogue.tags(clip.id), await catalogue.tags(model.id))
      assert.deepEqual(
        await catalogue.embeddings(clip.id, 'visual'),
        await catalogue.embeddings(model.id, 'visual'),
      )
      await putClip(catalogue, newClip('/model', { hash: 'e'.repeat(64) }), [segment(0)])
      assert.equal(
        await importCopy(catalogue, { ...clip, hash: HASH }, model),
        false,
        'it has another content by now',
      )
    })

    it('refuses embeddings that would corrupt an index, with their whole clip', async () => {
      await using catalogue = await openNew()
      const refused = (values: number[]) =>
        putClip(catalogue, newClip('/a'), [
          segment(0),
          segment(10, { embeddings: { audio: Float32Array.from(values) as never } }),
        ])

      await assert.rejects(refused([1, 0, 0]), { code: 'EMBEDDING_SIZE' })
      await assert.rejects(refused([Number.NaN, 0, 0, 0]), { code: 'ENCODER_FAILED' })
      await assert.rejects(refused([0, 0, 0, 0]), { code: 'ENCODER_FAILED' })
      assert.deepEqual(await catalogue.counts(), {
        clips: 0,
        segments: 0,
        embeddings: { audio: 0, visual: 0 },
        failures: 0,
      })
      assert.equal(await catalogue.log.head(), 0)
    })

    it('refuses to open for another bundle, and says what to do', async () => {
      const open = await newPlace()
      await (await open(STAMP))[Symbol.asyncDispose]()

      const says = {
        code: 'FINGERPRINT_MISMATCH',
        message: /another data folder, or use the bundle/,
      }
      await assert.rejects(open({ ...STAMP, fingerprint: 'b'.repeat(64) }), says)
      await assert.rejects(open({ ...STAMP, dimension: 8 }), says)
      await (await open(STAMP))[Symbol.asyncDispose]()
    })

    it('is one catalogue through two handles, and after it was closed', async () => {
      const open = await newPlace()
      const clips = 40
      {
        await using one = await open(STAMP)
        await using two = await open(STAMP)
        await Promise.all(
          Array.from({ length: clips }, (_, i) =>
            putClip(i % 2 ? one : two, newClip(`/${i}`), [segment(i)]),
          ),
        )
        assert.equal(await one.log.head(), await two.log.head())
        assert.deepEqual(await one.clips({ limit: 100 }), await two.clips({ limit: 100 }))
      }
      await using reopened = await open(STAMP)

      const log = (await reopened.log.read(0, 1000)).changes
      const modalities = (modality: Modality) =>
        log.filter((each) => each.op === 'put' && each.modality === modality)
      assert.equal((await reopened.counts()).clips, clips)
      assert.equal(modalities('audio').length, clips)
      assert.equal(modalities('visual').length, clips)
    })
  })
}
