import assert from 'node:assert/strict'
import { it } from 'node:test'
import { wholeLabels } from '../src/tagging/labels.js'
import { tagFile, topTags } from '../src/tagging/tag.js'
import { opened } from './opened.js'
import { fixture, temporaryApp } from './workplace.js'

const label = (name: string, probability: number) => ({ mid: `/m/${name}`, name, probability })

it('gives the whole the best of its segments, most probable first', () => {
  const segments = [
    { start: 0, end: 10, labels: [label('dog', 0.4), label('rain', 0.3)] },
    { start: 10, end: 20, labels: [label('dog', 0.9)] },
  ]

  assert.deepEqual(wholeLabels(segments), [label('dog', 0.9), label('rain', 0.3)])
  assert.deepEqual(topTags(segments, 1).labels, [label('dog', 0.9)])
})

it('names what is heard in a clip', async (test) => {
  const app = await temporaryApp(test)

  const { labels, segments } = await tagFile(await opened(fixture('sound_misc_crow.opus')), app, {
    limit: 8,
  })

  assert.ok(
    labels.some(({ name }) => /Crow|Caw|Bird/.test(name)),
    JSON.stringify(labels),
  )
  assert.equal(segments.length, 1)
  assert.equal(segments[0]?.start, 0)
})

it('says of a picture what it probably sounds like', async (test) => {
  const app = await temporaryApp(test)

  const { labels } = await tagFile(await opened(fixture('photo_dog.webp')), app, { limit: 5 })

  assert.ok(
    labels.some(({ name }) => /Dog|Bark/.test(name)),
    JSON.stringify(labels),
  )
})
