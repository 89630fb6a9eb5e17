import { readdirSync, rmSync, writeFileSync } from 'node:fs'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { openApp } from '../../src/app.js'
import { buildHttp } from '../../src/http/http.js'
import { fixture, testConfig } from '../workplace.js'

const FILE = 'odd_one_hour.mkv' // larger than what room there is
const STEP_BYTES = 64 * 1024

export interface Told {
  readonly answers: readonly { readonly status: number; readonly type: string | null; readonly code: string }[]
  readonly left: readonly string[] // of the uploads
  readonly roomy: number // status
}

/** Uploads to a server whose disk is full, and again when there is room; tells what it answered. */
async function upload(disk: string): Promise<Told> {
  await using app = await openApp(testConfig(disk, { EARSHOT_BUNDLE: fixture('tiny-cavmae') }))
  const http = await buildHttp(app)
  const url = await http.listen({ port: 0, host: '127.0.0.1' })
  const post = async (route: string, name: string) => {
    const form = new FormData()
    form.append('file', new Blob([await readFile(fixture(name))]), name)
    return fetch(url + route, { method: 'POST', body: form })
  }

  const ballast = fillUp(join(disk, 'ballast'))
  const answers = []
  for (const route of ['/v1/search', '/v1/tags', '/v1/clips']) {
    const response = await post(route, FILE)
    const { code } = (await response.json()) as { code: string }
    answers.push({ status: response.status, type: response.headers.get('content-type'), code })
  }
  const left = readdirSync(join(disk, 'uploads'))
  rmSync(ballast)
  const roomy = (await post('/v1/clips', 'sound_misc_crow.opus')).status
  await http.close()
  return { answers, left, roomy }
}

/** Leaves no more than a step of room. */
function fillUp(file: string): string {
  const step = Buffer.alloc(STEP_BYTES)
  try {
    for (;;) writeFileSync(file, step, { flag: 'a' })
  } catch {
    return file
  }
}

const [, script = '', disk = ''] = process.argv
if (import.meta.url === pathToFileURL(script).href) console.log(JSON.stringify(await upload(disk)))
