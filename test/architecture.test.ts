import assert from 'node:assert/strict'
import { readdirSync, readFileSync } from 'node:fs'
import { dirname, join, relative } from 'node:path'
import { it } from 'node:test'
import { PACKAGE_DIR } from '../src/config.js'

const SRC = join(PACKAGE_DIR, 'src')
const LEAVES = ['domain', 'errors', 'authority', 'config', 'path-text', 'storage', 'concurrency']

/** What each room may import, besides itself. */
const MAY_IMPORT: Record<string, readonly string[]> = {
  domain: [],
  errors: [],
  authority: [],
  'path-text': [],
  config: ['errors', 'authority'],
  storage: ['errors', 'path-text'],
  concurrency: ['errors'],
  media: LEAVES,
  encoder: LEAVES,
  gallery: LEAVES,
  embed: [...LEAVES, 'media', 'encoder'],
  tagging: [...LEAVES, 'media', 'encoder', 'embed'],
  search: [...LEAVES, 'media', 'encoder', 'embed', 'gallery'],
  ingest: [...LEAVES, 'media', 'encoder', 'embed', 'gallery', 'tagging'],
  http: [...LEAVES, 'media', 'encoder', 'gallery', 'search', 'tagging', 'ingest', 'app'],
  cli: [...LEAVES, 'media', 'encoder', 'gallery', 'search', 'tagging', 'ingest', 'app', 'server'],
  app: [...LEAVES, 'media', 'encoder', 'gallery'],
  server: [...LEAVES, 'app', 'http', 'ingest'],
}

const ENGINE = /^gallery\/(sqlite|postgres|hnsw|weaviate|memory)\//
const OWNERS: Record<string, string> = {
  'fluent-ffmpeg': 'media',
  chokidar: 'ingest',
  re2js: 'ingest',
  'onnxruntime-node': 'encoder',
  'better-sqlite3': 'gallery',
  'hnswlib-node': 'gallery',
  fastify: 'http',
}

const files = readdirSync(SRC, { recursive: true, encoding: 'utf8' }).filter((file) => file.endsWith('.ts'))
const room = (file: string) => (file.split('/')[0] ?? '').replace(/\.ts$/, '')

function* imports(): Generator<{ file: string; target: string }> {
  for (const file of files) {
    for (const [, target = ''] of readFileSync(join(SRC, file), 'utf8').matchAll(/(?:from |import\()'([^']+)'/g)) {
      yield { file, target }
    }
  }
}

function* inside(): Generator<{ file: string; target: string }> {
  for (const { file, target } of imports()) {
    if (target.startsWith('.'))
      yield { file, target: relative('', join(dirname(file), target)).replace(/\.js$/, '.ts') }
  }
}

it('lets imports go one way down the road', () => {
  const wrong = [...inside()].filter(({ file, target }) => {
    return room(file) !== room(target) && !MAY_IMPORT[room(file)]?.includes(room(target))
  })

  assert.deepEqual(wrong, [])
})

it('keeps engines behind the gallery, but for the app that opens them', () => {
  const wrong = [...inside()].filter(
    ({ file, target }) => ENGINE.test(target) && !['gallery', 'app'].includes(room(file)),
  )

  assert.deepEqual(wrong, [])
})

it('lets one room each know the libraries that it owns', () => {
  const wrong = [...imports()].filter(({ file, target }) => OWNERS[target] && OWNERS[target] !== room(file))

  assert.deepEqual(wrong, [])
})
