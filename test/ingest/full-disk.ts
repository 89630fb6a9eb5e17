import { mkdirSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import Database from 'better-sqlite3'
import { openApp } from '../../src/app.js'
import { earshot } from '../cli/earshot.js'
import { fixture, testConfig } from '../workplace.js'
import { tone } from './tone.js'

export const FILES = 20
export const DISK_MEGABYTES = 8
const ROOM_BYTES = 2.2 * 2 ** 20 // enough to start

export interface Outcome {
  readonly full: {
    readonly exit: number
    readonly stop: { readonly code: string } | null
    readonly indexed: number
  }
  readonly kept: { readonly clips: number; readonly integrity: unknown; readonly jobs: unknown }
  readonly roomy: Outcome['full']
  readonly end: {
    readonly paths: readonly string[]
    readonly whole: boolean
    readonly jobs: readonly string[]
  }
}

/** Indexes into a library on a small disk until it is full, frees space, and continues. */
async function fill(disk: string, elsewhere: string): Promise<Outcome> {
  process.env.EARSHOT_BUNDLE = fixture('tiny-cavmae')
  const [data, clips, ballast] = [
    join(disk, 'data'),
    join(elsewhere, 'clips'),
    join(disk, 'ballast'),
  ]
  mkdirSync(clips)
  for (let i = 0; i < FILES; i++) writeFileSync(join(clips, `${i}.wav`), tone(200 + 7 * i))
  writeFileSync(ballast, Buffer.alloc(DISK_MEGABYTES * 2 ** 20 - ROOM_BYTES))
  const index = async () => {
    const { code: exit, stdout } = await earshot('index', clips, '--json', '--data', data)
    return { ...JSON.parse(stdout), exit }
  }

  const full = await index()
  const kept = keptIn(join(data, 'catalogue.sqlite'))
  rmSync(ballast)
  const roomy = await index()

  await using app = await openApp(testConfig(data, { EARSHOT_BUNDLE: fixture('tiny-cavmae') }))
  const { catalogue } = app.gallery
  const paths = (await catalogue.clips({ limit: 1000 })).map(({ path }) => path)
  const { whole } = await app.gallery.check()
  return {
    full,
    kept,
    roomy,
    end: { paths, whole, jobs: (await catalogue.jobs.jobs({ limit: 9 })).map(stateOf) },
  }
}

function keptIn(file: string): Outcome['kept'] {
  const db = new Database(file)
  try {
    const integrity = db.pragma('integrity_check', { simple: true })
    const clips = db.prepare<[], number>('SELECT count(*) FROM clips').pluck().get() ?? 0
    return { clips, integrity, jobs: db.prepare('SELECT state, stop_code AS code FROM jobs').all() }
  } finally {
    db.close()
  }
}

const stateOf = ({ state }: { readonly state: string }) => state

const [, script = '', disk = '', elsewhere = ''] = process.argv
if (import.meta.url === pathToFileURL(script).href)
  console.log(JSON.stringify(await fill(disk, elsewhere)))
