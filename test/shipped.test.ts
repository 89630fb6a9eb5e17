import assert from 'node:assert/strict'
import { basename } from 'node:path'
import { it } from 'node:test'
import { ingestFile } from '../src/ingest/ingest-file.js'
import { search } from '../src/search/search.js'
import { opened } from './opened.js'
import { fixture, SHIPPED, temporaryApp } from './workplace.js'

for (const name of SHIPPED) {
  it(`serves the bundle ${name}: index, search by sound, search by picture`, async (test) => {
    const app = await temporaryApp(test, { EARSHOT_BUNDLE: name })
    for (const file of [
      'guitar_cc0.mp4',
      'odd_no_audio.mp4',
      'sound_perc_bell.opus',
      'photo_cat.webp',
    ]) {
      await ingestFile(fixture(file), app)
    }

    const found = async (file: string) => {
      const { hits } = await search(
        { query: { kind: 'file', file: await opened(fixture(file)) }, limit: 5 },
        app,
      )
      assert.ok(hits.every(({ score }) => Number.isFinite(score)))
      return new Set(hits.map(({ clip }) => basename(clip.path)))
    }

    assert.deepEqual(
      await found('sound_perc_bell.opus'),
      new Set(['guitar_cc0.mp4', 'odd_no_audio.mp4', 'photo_cat.webp']),
    )
    assert.deepEqual(
      await found('photo_cat.webp'),
      new Set(['guitar_cc0.mp4', 'sound_perc_bell.opus']),
    )
    assert.equal((await app.gallery.check()).whole, true)
  })
}
