import { randomBytes } from 'node:crypto'
import { createReadStream } from 'node:fs'
import { mkdir, readdir, readFile, rename, rm, stat, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { crc32 } from 'node:zlib'
import { flush } from '../../storage/atomic-file.js'

const FORMAT = 4
const MANIFEST = 'manifest.json'
const SNAPSHOTS_KEPT = 2 // the newest one, and one that another process may be reading
const READ_BYTES = 4 * 2 ** 20
const TEMPORARY = 'unfinished-'
const TEMPORARY_MS = 3_600_000 // an older folder belongs to a killed process

/**
 * The content of a snapshot. The greater of two lineages is the later one. A new lineage starts
 * from an empty index and replaces the earlier one.
 */
export interface SnapshotHeader {
  readonly lineage: string
  readonly cursor: number
  readonly historyToken: string // of the log row at the cursor
  readonly fingerprint: string
  readonly dimension: number
}

interface FileSum {
  readonly name: string
  readonly crc32: number
}

interface Manifest extends SnapshotHeader {
  readonly format: typeof FORMAT
  readonly files: readonly FileSum[]
}

/** A snapshot on disk. */
export interface Snapshot extends SnapshotHeader {
  readonly folder: string
}

/** The snapshots that a caller accepts. */
export interface SnapshotFilter extends Pick<SnapshotHeader, 'dimension'> {
  readonly fingerprints: readonly string[]
  /** Returns whether the log of the catalogue has the same token at the cursor of the snapshot. */
  readonly isOurs: (of: SnapshotHeader) => Promise<boolean>
}

/** Yields the accepted and complete snapshots, newest first. It skips all others. */
export async function* wholeSnapshots(
  dir: string,
  wanted: SnapshotFilter,
): AsyncGenerator<Snapshot> {
  for (const name of await snapshotNames(dir)) {
    const snapshot = await readWhole(join(dir, name), wanted).catch(() => undefined)
    if (snapshot) yield snapshot
  }
}

/**
 * Writes a complete snapshot or none. It writes a temporary folder, syncs it to disk and renames
 * it. It writes nothing if the folder has a snapshot of a later lineage, or a later one of this
 * lineage.
 */
export async function writeSnapshot(
  dir: string,
  of: SnapshotHeader,
  fill: (folder: string) => Promise<void>,
): Promise<void> {
  await mkdir(dir, { recursive: true })
  const name = nameOf(of)
  const [newest] = await snapshotNames(dir)
  if (newest && newest >= name) return
  const folder = join(dir, `${TEMPORARY}${randomBytes(6).toString('hex')}`)
  try {
    await mkdir(folder)
    await fill(folder)
    const files = await Promise.all((await readdir(folder)).map((file) => describe(folder, file)))
    const manifest: Manifest = { format: FORMAT, ...of, files }
    await writeFile(join(folder, MANIFEST), JSON.stringify(manifest, undefined, 2))
    for (const file of [...files.map(({ name }) => name), MANIFEST, '.'])
      await flush(join(folder, file))
    await rename(folder, join(dir, name))
    await flush(dir)
  } catch (error) {
    await rm(folder, { recursive: true, force: true })
    if (!isTaken(error)) throw error
  }
  await prune(dir)
}

/** Returns a lineage that is later than all lineages in the folder. */
export async function newLineage(dir: string): Promise<string> {
  const [newest = ''] = await snapshotNames(dir)
  const time = Math.max(Date.now(), Number.parseInt(newest, 10) + 1 || 0)
  return `${String(time).padStart(15, '0')}-${randomBytes(4).toString('hex')}`
}

const nameOf = ({ lineage, cursor }: SnapshotHeader): string =>
  `${lineage}-${String(cursor).padStart(16, '0')}`

async function snapshotNames(dir: string): Promise<string[]> {
  const names = await readdir(dir).catch(() => [])
  return names
    .filter((name) => /^\d{15}-[0-9a-f]{8}-\d{16}$/.test(name))
    .sort()
    .reverse()
}

/** Checks the manifest without zod: loading zod takes longer than the rest of the thread start. */
function parseManifest(text: string): Manifest {
  const found: unknown = JSON.parse(text)
  if (!isManifest(found)) throw new Error(`Expected a manifest of format ${FORMAT}`)
  return found
}

function isManifest(found: unknown): found is Manifest {
  const { format, cursor, dimension, files, ...texts } = (found ?? {}) as Partial<Manifest>
  return (
    format === FORMAT &&
    Number.isSafeInteger(cursor) &&
    Number.isSafeInteger(dimension) &&
    [texts.lineage, texts.historyToken, texts.fingerprint].every(
      (each) => typeof each === 'string',
    ) &&
    Array.isArray(files) &&
    files.every(isFileSum)
  )
}

function isFileSum(found: unknown): found is FileSum {
  const { name, crc32 } = (found ?? {}) as Partial<FileSum>
  return typeof name === 'string' && /^[\w.-]+$/.test(name) && Number.isSafeInteger(crc32)
}

/**
 * Returns undefined if the filter rejects the snapshot. The filter runs first because it is cheap.
 */
async function readWhole(folder: string, wanted: SnapshotFilter): Promise<Snapshot | undefined> {
  const { files, format, ...of } = parseManifest(await readFile(join(folder, MANIFEST), 'utf8'))
  if (!wanted.fingerprints.includes(of.fingerprint) || of.dimension !== wanted.dimension)
    return undefined
  if (!(await wanted.isOurs(of))) return undefined
  for (const { name, crc32 } of files) {
    // hnswlib does not validate files. A damaged file could crash the process.
    if ((await describe(folder, name)).crc32 !== crc32)
      throw new Error(`${join(folder, name)} is damaged`)
  }
  return { ...of, folder }
}

/**
 * Returns a checksum. A digest is not necessary: the checksum must detect only damage, and a
 * million embeddings are more than a gigabyte.
 */
async function describe(folder: string, name: string): Promise<FileSum> {
  let sum = 0
  for await (const chunk of createReadStream(join(folder, name), { highWaterMark: READ_BYTES }))
    sum = crc32(chunk, sum)
  return { name, crc32: sum }
}

/** Returns whether another process has already written the same snapshot. */
function isTaken(error: unknown): boolean {
  return (
    error instanceof Error &&
    'code' in error &&
    (error.code === 'ENOTEMPTY' || error.code === 'EEXIST')
  )
}

async function prune(dir: string): Promise<void> {
  const outdated = (await snapshotNames(dir)).slice(SNAPSHOTS_KEPT)
  const temporary = (await readdir(dir)).filter((name) => name.startsWith(TEMPORARY))
  for (const name of temporary) {
    const { mtimeMs } = await stat(join(dir, name)).catch(() => ({
      mtimeMs: Number.POSITIVE_INFINITY,
    }))
    if (Date.now() - mtimeMs > TEMPORARY_MS) outdated.push(name)
  }
  await Promise.all(outdated.map((name) => rm(join(dir, name), { recursive: true, force: true })))
}
