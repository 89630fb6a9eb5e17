import assert from 'node:assert/strict'
import { once } from 'node:events'
import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { it } from 'node:test'
import { setTimeout } from 'node:timers/promises'
import { Job } from '../../src/http/job-schemas.js'
import { ClipPage, SearchAnswer, System } from '../../src/http/schemas.js'
import { hasEnded } from '../../src/jobs/job-state.js'
import { anotherBundle } from '../app/bundles.js'
import { tone } from '../ingest/tone.js'
import { fixture, temporaryDir } from '../workplace.js'
import { earshot, start } from './earshot.js'

it('changes the bundle of a running server without a failed query', async (test) => {
  const dir = await temporaryDir(test)
  const bundle = anotherBundle(dir)
  const json = ['--json', '--data', join(dir, 'data')]
  const run = async (...args: string[]) => {
    const { code, stdout } = await earshot(...args, ...json)
    return { code, answer: JSON.parse(stdout) }
  }
  await run('index', fixture('photo_dog.webp'), fixture('photo_cat.webp'))
  const server = start(['serve', '--port', '0', ...json])
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

  const second = await run('index', fixture('photo_pig.webp'))
  let ended: Awaited<ReturnType<typeof run>> | undefined
  const changing = run('reindex', '--bundle', bundle).then((result) => {
    ended = result
  })
  const id = clips[0]?.id
  const pages = [
    '/v1/system',
    '/readyz',
    '/v1/labels',
    '/v1/clips',
    `/v1/clips/${id}/thumbnail`,
    `/v1/clips/${id}/media`,
  ]
  for (const deadline = Date.now() + 300_000; !(ended && isChanged()) && Date.now() < deadline; ) {
    const [response, ...shown] = await Promise.all([
      ask(),
      ...pages.map((page) => fetch(url + page)),
    ])
    assert.equal(response.status, 200)
    for (const page of shown) {
      const body = await page.text()
      assert.equal(page.status, 200, `${page.url}: ${body}`)
    }
    const { bundle, hits } = SearchAnswer.parse(await response.json())
    answers.push({ fingerprint: bundle.fingerprint, hits: hits.map(({ clip }) => clip.id) })
  }
  await changing

  assert.deepEqual([second.code, second.answer.code], [3, 'DATA_LOCKED'])
  assert.equal(ended?.code, 0)
  assert.deepEqual(
    { ...ended?.answer, seconds: 0 },
    { clips: 2, encoded: 2, copied: 0, partial: 0, kept: 0, waiting: [], seconds: 0 },
  )
  assert.ok(isChanged(), 'the server went over to the new bundle')
  assert.equal(new Set(answers.map(({ fingerprint }) => fingerprint)).size, 2)
  for (const { hits } of answers) assert.deepEqual(hits, [clips[1]?.id])
})

it('moves jobs and watched folders to the new bundle without a mixed answer', async (test) => {
  const [data, root, watched] = [
    await temporaryDir(test),
    await temporaryDir(test),
    await temporaryDir(test),
  ]
  const env = { EARSHOT_DATA: data, EARSHOT_ROOTS: root, EARSHOT_WATCH: watched }
  const folder = async (dir: string, files: number) => {
    await mkdir(dir)
    for (let i = 0; i < files; i++)
      await writeFile(join(dir, `${i}.wav`), tone(200 + 50 * i + dir.length))
    return dir
  }
  const [running, waiting] = [
    await folder(join(root, 'running'), 20),
    await folder(join(root, 'waiting!'), 3),
  ]
  await writeFile(join(watched, 'there.wav'), tone(1500))
  const server = start(['serve', '--port', '0', '--json'], env)
  test.after(() => server.kill('SIGKILL'))
  const { url } = JSON.parse(String((await once(server.stdout, 'data'))[0]))
  const send = (path: string, body?: unknown) =>
    fetch(url + path, {
      method: 'POST',
      ...(body !== undefined && {
        body: JSON.stringify(body),
        headers: { 'content-type': 'application/json' },
      }),
    })
  const job = async (response: Promise<Response>) => Job.parse(await (await response).json())
  const clips = async () =>
    ClipPage.parse(await (await fetch(`${url}/v1/clips?limit=200`)).json()).clips
  const until = async (isSo: () => Promise<boolean>) => {
    while (!(await isSo())) await setTimeout(100)
  }

  await until(async () => (await clips()).length === 1)
  const { id: pausedId } = await job(send('/v1/jobs', { sources: [waiting] }))
  await send(`/v1/jobs/${pausedId}/pause`)
  const { id: runningId } = await job(send('/v1/jobs', { sources: [running] }))
  const done = new AbortController()
  const asking = [0, 1].map(async () => {
    const fingerprints: string[] = []
    while (!done.signal.aborted) {
      const form = new FormData()
      form.append('file', new Blob([tone(1500)]), 'there.wav')
      form.append('to', 'audio')
      const response = await fetch(`${url}/v1/search`, { method: 'POST', body: form })
      assert.equal(response.status, 200)
      const { bundle, hits } = SearchAnswer.parse(await response.json())
      // A vector of one bundle has another length or a low score in the gallery of the other.
      assert.ok((hits[0]?.score ?? 0) > 0.999, `${hits[0]?.score}`)
      fingerprints.push(bundle.fingerprint)
    }
    return fingerprints
  })
  const change = start(['reindex', '--bundle', fixture('tiny-cavmae'), '--json'], env)
  const [code] = await once(change, 'close')
  const isChanged = async () =>
    System.parse(await (await fetch(`${url}/v1/system`)).json()).bundle.name !== 'starter'
  await until(isChanged)
  await send(`/v1/jobs/${pausedId}/resume`)
  await writeFile(join(watched, 'late.wav'), tone(1600))
  await until(async () => (await clips()).some(({ path }) => path === join(watched, 'late.wav')))
  for (const id of [runningId, pausedId]) {
    await until(async () => hasEnded((await job(fetch(`${url}/v1/jobs/${id}`))).state))
  }
  done.abort()

  assert.equal(code, 0)
  for (const fingerprints of await Promise.all(asking)) {
    const turn = fingerprints.indexOf(fingerprints.at(-1) ?? '')
    assert.equal(new Set(fingerprints.slice(0, turn)).size, 1, 'the old bundle alone')
    assert.equal(new Set(fingerprints.slice(turn)).size, 1, 'then the new one alone')
  }
  const [first, second] = await Promise.all(
    [runningId, pausedId].map((id) => job(fetch(`${url}/v1/jobs/${id}`))),
  )
  assert.deepEqual([first?.state, first?.counts.indexed], ['succeeded', 20])
  assert.deepEqual([second?.state, second?.counts.indexed], ['succeeded', 3])
  const paths = (await clips()).map(({ path }) => path)
  assert.deepEqual([paths.length, new Set(paths).size], [25, 25])
})
