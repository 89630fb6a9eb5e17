import { readdirSync, rmSync, writeFileSync } from 'node:fs'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import Database from 'better-sqlite3'
import { openApp } from '../../src/app.js'
import { buildHttp } from '../../src/http/http.js'
import { ingestFile } from '../../src/ingest/ingest-file.js'
import { fixture, testConfig } from '../workplace.js'

const FILE = 'odd_one_hour.mkv' // larger than the free space
const STEPS_BYTES = [64 * 1024, 4096]

export interface Outcome {
  readonly answers: readonly {
    readonly status: number
    readonly type: string | null
    readonly code: string
  }[]
  readonly left: readonly string[] // files that the uploads leave
  readonly removed: readonly number[] // statuses of removals while the disk is full
  readonly roomy: number // status
}

/** Uploads to a server with a full disk and again with free space. Returns the answers. */
async function upload(disk: string): Promise<Outcome> {
  await using app = await openApp(testConfig(disk, { EARSHOT_BUNDLE: fixture('tiny-cavmae') }))
  const http = await buildHttp(app)
  const url = await http.listen({ port: 0, host: '127.0.0.1' })
  const post = async (route: string, name: string) => {
    const form = new FormData()
    form.append('file', new Blob([await readFile(fixture(name))]), name)
    return fetch(url + route, { method: 'POST', body: form })
  }

  const first = await post('/v1/clips', 'sound_perc_bell.opus')
  const { id: stored } = (await first.json()) as { id: string }
  const { clip } = await ingestFile(fixture('sound_perc_door.opus'), app) // keeps its file

  const ballast = fillUp(disk)
  const answers = []
  for (const route of ['/v1/search', '/v1/tags', '/v1/clips']) {
    const response = await post(route, FILE)
    const { code } = (await response.json()) as { code: string }
    answers.push({ status: response.status, type: response.headers.get('content-type'), code })
  }
  const left = readdirSync(join(disk, 'uploads'))
  const removed = []
  for (const id of [clip.id, stored]) {
    removed.push((await fetch(`${url}/v1/clips/${id}`, { method: 'DELETE' })).status)
  }
  rmSync(ballast)
  const roomy = (await post('/v1/clips', 'sound_misc_crow.opus')).status
  await http.close()
  return { answers, left, removed, roomy }
}

/** Fills the disk, including the log of the database. */
function fillUp(disk: string): string {
  const db = new Database(join(disk, 'catalogue.sqlite'))
  db.pragma('wal_checkpoint(TRUNCATE)')
  db.close()
  const file = join(disk, 'ballast')
  for (const bytes of STEPS_BYTES) {
    try {
      for (;;) writeFileSync(file, Buffer.alloc(bytes), { flag: 'a' })
    } catch {} // the disk is full
  }
  return file
}

const [, script = '', disk = ''] = process.argv
if (import.meta.url === pathToFileURL(script).href) console.log(JSON.stringify(await upload(disk)))
