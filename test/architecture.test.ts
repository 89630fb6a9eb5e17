import assert from 'node:assert/strict'
import { readdirSync, readFileSync } from 'node:fs'
import { dirname, join, relative } from 'node:path'
import { it } from 'node:test'
import { PACKAGE_DIR } from '../src/config.js'

const SRC = join(PACKAGE_DIR, 'src')
const CODE = ['src', 'test', 'bench', 'scripts']
const LONGEST_LINE = 100 // characters

/**
 * Lists the rooms from the lowest floor. A file can import its own room and rooms of lower floors,
 * types included. Rooms of one floor do not import each other.
 */
const FLOORS: readonly (readonly string[])[] = [
  ['errors', 'authority'],
  ['domain', 'config', 'concurrency'],
  ['storage'],
  ['media/staging', 'encoder', 'jobs'],
  ['media/process', 'gallery/catalogue', 'gallery/registry'],
  ['media/probe', 'gallery/vector'],
  ['media/decode', 'gallery/sqlite', 'gallery/hnsw', 'gallery/memory'],
  ['media', 'gallery'],
  ['embed'],
  ['tagging', 'search', 'ingest/scan', 'app'],
  ['ingest'],
  ['ingest/runner', 'reindex'],
  ['ingest/watch'],
  ['http'],
  ['server'],
  ['cli'],
]

/** Imports of a lower floor that are forbidden. */
const FORBIDDEN: readonly (readonly [from: RegExp, to: RegExp, why: string])[] = [
  [/^gallery/, /^(media|encoder)/, 'the gallery stores vectors and knows neither media nor models'],
  [/^(?!gallery|app)/, /^gallery\/(sqlite|hnsw|memory)$/, 'the app alone chooses engines'],
  [/^(media|encoder)/, /^jobs$/, 'decoding and encoding know nothing of jobs'],
  [/^cli$/, /^http$/, 'the command line calls what HTTP calls'],
]

/** Maps a library to the only room that imports it. */
const OWNERS: Readonly<Record<string, string>> = {
  'fluent-ffmpeg': 'media/process',
  chokidar: 'ingest/watch',
  re2js: 'ingest/scan',
  'onnxruntime-node': 'encoder',
  'better-sqlite3': 'gallery/sqlite',
  'hnswlib-node': 'gallery/hnsw',
  fastify: 'http',
  commander: 'cli',
}

const files = readdirSync(SRC, { recursive: true, encoding: 'utf8' }).filter((file) =>
  file.endsWith('.ts'),
)
const rooms = FLOORS.flat().sort((a, b) => b.length - a.length)

/** Returns the innermost room whose folder or file contains the path. */
function roomOf(file: string): string | undefined {
  return rooms.find((room) => file === `${room}.ts` || file.startsWith(`${room}/`))
}

const floorOf = (room: string): number => FLOORS.findIndex((floor) => floor.includes(room))

interface Import {
  readonly file: string
  readonly target: string // a file of src, or the name of a library
}

const toSource = (file: string, name: string): string =>
  relative('', join(dirname(file), name)).replace(/\.js$/, '.ts')

const imports: readonly Import[] = files.flatMap((file) => {
  const text = readFileSync(join(SRC, file), 'utf8')
  return [...text.matchAll(/(?:from |import\()'([^']+)'/g)].map(([, name = '']) => ({
    file,
    target: name.startsWith('.') ? toSource(file, name) : name,
  }))
})

const inner = imports.filter(({ target }) => target.endsWith('.ts'))

it('puts each file into a room', () => {
  const homeless = files.filter((file) => roomOf(file) === undefined)

  assert.deepEqual(homeless, [])
})

it('lets imports point to lower floors only, types included', () => {
  const wrong = inner.filter(({ file, target }) => {
    const [from = '', to = ''] = [roomOf(file), roomOf(target)]
    return from !== to && floorOf(to) >= floorOf(from)
  })

  assert.deepEqual(wrong, [])
})

it('has no cycle of imports, types included', () => {
  const targets = new Map(files.map((file) => [file, [] as string[]]))
  for (const { file, target } of inner) targets.get(file)?.push(target)

  assert.deepEqual(cycleIn(targets), [])
})

it('keeps engines, media and models where they belong', () => {
  const wrong = inner.flatMap(({ file, target }) => {
    const [from = '', to = ''] = [roomOf(file), roomOf(target)]
    const rule = FORBIDDEN.find(([source, goal]) => source.test(from) && goal.test(to))
    return rule && from !== to ? [`${file} imports ${target}: ${rule[2]}`] : []
  })

  assert.deepEqual(wrong, [])
})

it('lets one room each import the libraries that it owns', () => {
  const wrong = imports.filter(({ file, target }) => {
    const owner = OWNERS[target]
    return owner !== undefined && owner !== roomOf(file)
  })

  assert.deepEqual(wrong, [])
})

it('has no line over 100 columns, strings and comments included', () => {
  const long = CODE.flatMap((folder) => scriptsIn(folder)).flatMap((file) => {
    const lines = readFileSync(join(PACKAGE_DIR, file), 'utf8').split('\n')
    return lines.flatMap((line, i) => ([...line].length > LONGEST_LINE ? [`${file}:${i + 1}`] : []))
  })

  assert.deepEqual(long, [])
})

function scriptsIn(folder: string): readonly string[] {
  return readdirSync(join(PACKAGE_DIR, folder), { recursive: true, encoding: 'utf8' })
    .filter((file) => /\.(ts|js)$/.test(file))
    .map((file) => join(folder, file))
}

/** Returns the files of a cycle in order, or no files. */
function cycleIn(targets: ReadonlyMap<string, readonly string[]>): readonly string[] {
  const done = new Set<string>()
  const visit = (file: string, path: readonly string[]): readonly string[] => {
    if (path.includes(file)) return [...path.slice(path.indexOf(file)), file]
    if (done.has(file)) return []
    for (const target of targets.get(file) ?? []) {
      const cycle = visit(target, [...path, file])
      if (cycle.length > 0) return cycle
    }
    done.add(file)
    return []
  }
  for (const file of targets.keys()) {
    const cycle = visit(file, [])
    if (cycle.length > 0) return cycle
  }
  return []
}
