/**
 * Tests a server with 32 concurrent clients: `node dist/bench/soak.js [seconds]` after a build. The
 * clients upload, search, tag, read and delete, with ordinary and hostile files. The exit status is
 * 1 if a check fails.
 */
import { type ChildProcess, execFileSync, spawn } from 'node:child_process'
import { once } from 'node:events'
import { readdirSync } from 'node:fs'
import { mkdir, mkdtemp, readdir, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { Worker } from 'node:worker_threads'
import { PACKAGE_DIR } from '../src/config.js'
import { seeded } from '../test/contract/vectors.js'
import { tone } from '../test/ingest/tone.js'

const CLIENTS = 32
const PORT = 17_411
const URL_BASE = `http://127.0.0.1:${PORT}`
const HEALTH_P99_MS = 100
const FIXTURES = join(PACKAGE_DIR, 'test', 'fixtures')

interface Tally {
  readonly statuses: Map<string, number>
  readonly broken: string[]
  readonly memoryMb: number[]
  readonly acknowledged: Map<string, string> // clip id → upload, without deleted clips
}

const seconds = Number(process.argv[2] ?? 60)
const dir = await mkdtemp(join(tmpdir(), 'earshot-soak-'))
const server = await startServer(dir)
const tally: Tally = {
  statuses: new Map(),
  broken: [],
  memoryMb: [],
  acknowledged: new Map(),
}
try {
  const files = await filesToSend()
  const until = performance.now() + 1000 * seconds
  const isOver = () => performance.now() > until
  const clients = Array.from({ length: CLIENTS }, (_, i) => client(i, files, isOver))
  const health = new Worker(new URL('./soak-health.js', import.meta.url), {
    workerData: { url: `${URL_BASE}/healthz` },
  })
  await Promise.all([...clients, watchMemory(server, isOver)])
  health.postMessage('over')
  const [healthMs] = await once(health, 'message')
  reportHealth(healthMs)
  await checkAcknowledged()
  await checkRest(dir)
} finally {
  server.kill('SIGTERM')
  await once(server, 'exit')
  await rm(dir, { recursive: true, force: true })
}
report()

async function startServer(dataDir: string): Promise<ChildProcess> {
  const main = fileURLToPath(new URL('../src/cli/main.js', import.meta.url))
  await mkdir(join(dataDir, 'root'))
  execFileSync('mkfifo', [join(dataDir, 'root', 'pipe.mp4')])
  const args = [main, 'serve', '--port', String(PORT), '--data', join(dataDir, 'data')]
  const child = spawn(process.execPath, args, {
    env: { ...process.env, EARSHOT_ROOTS: join(dataDir, 'root'), EARSHOT_LOG: 'error' },
    stdio: ['ignore', 'ignore', 'inherit'],
  })
  for (;;) {
    if (child.exitCode !== null) throw new Error('the server did not start')
    if (
      await fetch(`${URL_BASE}/readyz`).then(
        ({ ok }) => ok,
        () => false,
      )
    )
      return child
    await setTimeout(100)
  }
}

/** Lists ordinary and damaged clips, text, a tone per client, a large picture and a slow sound. */
async function filesToSend(): Promise<readonly (readonly [name: string, data: Buffer])[]> {
  const names = readdirSync(FIXTURES).filter((name) => /\.(mp4|webm|opus|webp|mkv|m4a)$/.test(name))
  const small = names.filter((name) => name !== 'odd_one_hour.mkv')
  const files = await Promise.all(
    small.map(async (name) => [name, await readFile(join(FIXTURES, name))] as const),
  )
  const slow = tone(1, { seconds: 4 })
  slow.writeUInt32LE(8, 24) // Hz
  const picture = join(dir, 'large.png')
  execFileSync('ffmpeg', [
    '-v',
    'error',
    '-f',
    'lavfi',
    '-i',
    'testsrc2=s=9000x9000',
    '-frames:v',
    '1',
    picture,
  ])
  return [
    ...files,
    ['slow.wav', slow],
    ['text.mp4', Buffer.from('#EXTM3U\n/etc/passwd\n')],
    ['large.png', await readFile(picture)],
  ]
}

async function client(
  number: number,
  files: readonly (readonly [string, Buffer])[],
  isOver: () => boolean,
): Promise<void> {
  const random = seeded(number + 1)
  const pick = <T>(items: readonly T[]): T => items[Math.floor(random() * items.length)] as T
  for (let turn = 0; !isOver(); turn++) {
    const [name, data] = pick(files)
    const action = random()
    if (action < 0.25) await upload(name, data, random() < 0.2)
    else if (action < 0.35) await upload(`${number}.wav`, tone(200 + 10 * number + turn), false)
    else if (action < 0.55) await send('search', name, data, { to: pick(['audio', 'visual']) })
    else if (action < 0.65) await send('tags', name, data, {})
    else if (action < 0.75) await look(pick([...tally.acknowledged.keys(), '0']))
    else if (action < 0.85) await remove(pick([...tally.acknowledged.keys(), '0']))
    else if (action < 0.95) await searchById(pick([...tally.acknowledged.keys(), '0']))
    else await ask('POST', '/v1/clips', JSON.stringify({ path: join(dir, 'root', 'pipe.mp4') }))
  }
}

async function upload(name: string, data: Buffer, leaves: boolean): Promise<void> {
  const abort = new AbortController()
  if (leaves) void setTimeout(50).then(() => abort.abort())
  const answer = await send('clips', name, data, {}, abort.signal)
  if (!answer || answer.status > 201) return
  const { id } = JSON.parse(answer.text) as { id: string }
  tally.acknowledged.set(id, name)
}

async function remove(id: string): Promise<void> {
  const name = tally.acknowledged.get(id)
  tally.acknowledged.delete(id) // another client can upload the clip now, so both states are valid
  const answer = await ask('DELETE', `/v1/clips/${id}`)
  if (name !== undefined && answer && answer.status >= 500) tally.acknowledged.set(id, name)
}

async function look(id: string): Promise<void> {
  await ask('GET', `/v1/clips/${id}/media`)
  await ask('GET', `/v1/clips/${id}/thumbnail`)
}

function searchById(id: string): Promise<Answer | null> {
  return ask('POST', '/v1/search', JSON.stringify({ clip: id, from: 'audio', to: 'visual' }))
}

async function send(
  route: string,
  name: string,
  data: Buffer,
  fields: Record<string, string>,
  signal?: AbortSignal,
): Promise<Answer | null> {
  const form = new FormData()
  for (const [field, value] of Object.entries(fields)) form.append(field, value)
  form.append('file', new Blob([data]), name)
  return await ask('POST', `/v1/${route}`, form, signal)
}

interface Answer {
  readonly status: number
  readonly text: string
}

async function ask(
  method: string,
  path: string,
  body?: string | FormData,
  signal: AbortSignal | null = null,
): Promise<Answer | null> {
  const headers: Record<string, string> =
    typeof body === 'string' ? { 'content-type': 'application/json' } : {}
  try {
    const response = await fetch(URL_BASE + path, { method, body: body ?? null, headers, signal })
    const text = await response.text()
    count(`${method} ${path.replace(/\/[0-9a-z]{16,}/, '/{id}')} ${response.status}`)
    const isBusy = response.status === 503 && response.headers.has('retry-after')
    if (response.status >= 500 && !isBusy)
      tally.broken.push(`${method} ${path}: ${text.slice(0, 300)}`)
    if (isBusy) await setTimeout(500)
    return { status: response.status, text }
  } catch (error) {
    if (!signal?.aborted) tally.broken.push(`${method} ${path}: ${String(error)}`)
    return null
  }
}

function count(what: string): void {
  tally.statuses.set(what, (tally.statuses.get(what) ?? 0) + 1)
}

/** Samples the resident memory of the server and its descendants. */
async function watchMemory({ pid = 0 }: ChildProcess, isOver: () => boolean): Promise<void> {
  for (; !isOver(); await setTimeout(250)) {
    const kb = processesOf(pid).reduce((sum, { rssKb }) => sum + rssKb, 0)
    tally.memoryMb.push(Math.round(kb / 1024))
  }
}

/** Returns a process and its descendants. */
function processesOf(pid: number): readonly { readonly name: string; readonly rssKb: number }[] {
  const text = execFileSync('ps', ['-e', '-o', 'pid=,ppid=,rss=,comm='], { encoding: 'utf8' })
  const rows = text.split('\n').map((row) => row.trim().split(/\s+/))
  const own = new Set([String(pid)])
  for (const [child = '', parent = ''] of rows) if (own.has(parent)) own.add(child)
  return rows
    .filter(([child = '']) => own.has(child))
    .map(([, , rss, name = '']) => ({ name, rssKb: Number(rss) }))
}

/** Checks that each clip has its file, or answers 404 because a client has deleted it. */
async function checkAcknowledged(): Promise<void> {
  for (const [id, name] of tally.acknowledged) {
    const clip = await fetch(`${URL_BASE}/v1/clips/${id}`)
    const media = await fetch(`${URL_BASE}/v1/clips/${id}/media`)
    await media.arrayBuffer()
    if (clip.status === 200 && media.status === 200) continue
    tally.broken.push(
      `${name} was acknowledged as ${id}: clip ${clip.status}, media ${media.status}`,
    )
  }
}

async function checkRest(folder: string): Promise<void> {
  await setTimeout(2000)
  const left = await readdir(join(folder, 'data', 'uploads'))
  if (left.length > 0) tally.broken.push(`${left.length} partial uploads are left`)
  const ffmpegs = processesOf(server.pid ?? 0).filter(({ name }) => name.startsWith('ff'))
  if (ffmpegs.length > 0) tally.broken.push(`${ffmpegs.length} ffmpegs are left`)
}

function reportHealth(ms: readonly number[]): void {
  const p99 = ms.toSorted((a, b) => a - b)[Math.floor(ms.length * 0.99)] ?? Number.POSITIVE_INFINITY
  console.log(`healthz p99 ${p99.toFixed(1)} ms of ${ms.length}`)
  if (p99 > HEALTH_P99_MS) tally.broken.push(`healthz p99 is over ${HEALTH_P99_MS} ms`)
}

function report(): void {
  const { statuses, broken, memoryMb, acknowledged } = tally
  for (const [what, times] of [...statuses].sort())
    console.log(`${String(times).padStart(6)}  ${what}`)
  console.log(`${acknowledged.size} clips checked`)
  console.log(`memory of the server and its decoders: at most ${Math.max(...memoryMb)} MB`)
  for (const line of broken.slice(0, 20)) console.error(`BROKEN ${line}`)
  console.log(`${broken.length} promises broken in ${seconds} s of ${CLIENTS} clients`)
  process.exitCode = broken.length > 0 ? 1 : 0
}
