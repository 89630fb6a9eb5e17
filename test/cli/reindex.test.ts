import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import { it } from 'node:test'
import { PACKAGE_DIR } from '../../src/config.js'
import { ClipPage, SearchAnswer } from '../../src/http/schemas.js'
import { anotherBundle } from '../app/bundles.js'
import { fixture, temporaryDir } from '../workplace.js'

const CLI = join(PACKAGE_DIR, 'dist', 'src', 'cli', 'main.js')

it('moves the library of a running server to another bundle, and no query fails', async (test) => {
  const dir = await temporaryDir(test)
  const bundle = anotherBundle(dir)
  const start = (...args: string[]) =>
    spawn(process.execPath, [CLI, ...args, '--json', '--data', join(dir, 'data')], {
      env: { ...process.env, EARSHOT_PROVIDERS: 'cpu', EARSHOT_LOG: 'silent' },
      stdio: ['ignore', 'pipe', 'ignore'],
    })
  const earshot = async (...args: string[]) => {
    const child = start(...args)
    const out = child.stdout.toArray()
    const [code] = await once(child, 'close')
    return { code, answer: JSON.parse(Buffer.concat(await out).toString()) }
  }
  await earshot('index', fixture('photo_dog.webp'), fixture('photo_cat.webp'))
  const server = start('serve', '--port', '0')
  test.after(() => server.kill('SIGKILL'))
  const { url } = JSON.parse(String((await once(server.stdout, 'data'))[0]))
  const { clips } = ClipPage.parse(await (await fetch(`${url}/v1/clips`)).json())
  const query = { clip: clips[0]?.id, from: 'visual', to: 'visual' }
  const ask = () =>
    fetch(`${url}/v1/search`, {
      method: 'POST',
      body: JSON.stringify(query),
      headers: { 'content-type': 'application/json' },
    })
  const answers: { fingerprint: string; hits: string[] }[] = []
  const isChanged = () => answers.at(-1)?.fingerprint !== answers[0]?.fingerprint

  const second = await earshot('index', fixture('photo_pig.webp'))
  let ended: Awaited<ReturnType<typeof earshot>> | undefined
  const changing = earshot('reindex', '--bundle', bundle).then((result) => {
    ended = result
  })
  for (const deadline = Date.now() + 300_000; !(ended && isChanged()) && Date.now() < deadline; ) {
    const response = await ask()
    assert.equal(response.status, 200)
    const { bundle, hits } = SearchAnswer.parse(await response.json())
    answers.push({ fingerprint: bundle.fingerprint, hits: hits.map(({ clip }) => clip.id) })
  }
  await changing

  assert.deepEqual([second.code, second.answer.code], [3, 'DATA_LOCKED'])
  assert.equal(ended?.code, 0)
  assert.deepEqual(
    { ...ended?.answer, seconds: 0 },
    { clips: 2, encoded: 2, partial: 0, kept: 0, waiting: [], seconds: 0 },
  )
  assert.ok(isChanged(), 'the server went over to the new bundle')
  assert.equal(new Set(answers.map(({ fingerprint }) => fingerprint)).size, 2)
  for (const { hits } of answers) assert.deepEqual(hits, [clips[1]?.id])
})
