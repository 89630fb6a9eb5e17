import assert from 'node:assert/strict'
import { it, type TestContext } from 'node:test'
import { toAppError } from '../../src/errors.js'
import type { Catalogue } from '../../src/gallery/catalogue/catalogue.js'
import { recordFailure } from '../../src/gallery/catalogue/write-clips.js'
import type { Job, JobState, Lease } from '../../src/jobs/jobs.js'
import { LeaseLost } from '../../src/jobs/jobs.js'
import { freshlySeeded } from './vectors.js'

const STEPS = 1_500
const WORKER = { worker: 'one', leaseMs: 60_000 }
const ENDED: readonly JobState[] = ['succeeded', 'partial', 'failed', 'canceled']

/** From which states each action is allowed. */
const ALLOWED: Readonly<Record<string, readonly JobState[]>> = {
  pause: ['queued', 'running'],
  resume: ['paused'],
  cancel: ['queued', 'running', 'paused'],
  retry: ['queued', 'running', 'paused', 'succeeded', 'partial', 'failed'],
}

/**
 * Random actions of users and of a worker on one job. After each, the job is in a state that the
 * action allows, and its counts are those of its items.
 */
export function jobStatesContract(name: string, open: () => Promise<Catalogue>): void {
  it(`a job of the ${name} catalogue keeps its rules under random actions`, async (test) => {
    const random = freshlySeeded(test as TestContext)
    await using catalogue = await open()
    const walk = new Walk(catalogue, random)
    await walk.begin()
    for (let step = 0; step < STEPS; step++) await walk.step()
    assert.ok(walk.visited.size >= 6, `only ${[...walk.visited].join(', ')} were visited`)
  })
}

class Walk {
  readonly visited = new Set<JobState>()
  #job!: Job // set by begin
  #leases: Lease[] = []
  #files = 0

  constructor(
    private readonly catalogue: Catalogue,
    private readonly random: () => number,
  ) {}

  async begin(): Promise<void> {
    const request = {
      sources: ['/library'],
      mode: 'changed',
      include: [],
      ignore: [],
      defaultIgnores: true,
      followLinks: false,
      within: [],
    } as const
    this.#job = (await this.catalogue.jobs.create(request)).job
    this.#leases = []
  }

  async step(): Promise<void> {
    const actions = [
      () => this.#act('pause', 0.3),
      () => this.#act('resume'),
      () => this.#act('cancel', 0.05),
      () => this.#act('retry'),
      () => this.#scan(),
      () => this.#claim(),
      () => this.#claim(),
      () => this.#end(),
      () => this.#end(),
      () => this.#finish(),
    ]
    await actions[Math.floor(this.random() * actions.length)]?.()
    await this.#check()
    if (ENDED.includes(this.#job.state) && this.random() < 0.3) await this.begin()
  }

  /** Throws JOB_STATE exactly if the state forbids the action, or nothing can be retried. */
  async #act(action: 'pause' | 'resume' | 'cancel' | 'retry', likelihood = 1): Promise<void> {
    if (this.random() > likelihood) return
    const before = await this.catalogue.jobs.progress(this.#job.id)
    const isAllowed =
      ALLOWED[action]?.includes(before.state) && (action !== 'retry' || before.counts.failed > 0)
    const outcome = await this.catalogue.jobs[action](this.#job.id).then(
      () => 'done',
      (error) => toAppError(error).code,
    )
    assert.equal(outcome, isAllowed ? 'done' : 'JOB_STATE', `${action} of a ${before.state} job`)
    if (outcome === 'done') await this.#checkAction(action, before.state)
  }

  async #checkAction(action: string, before: JobState): Promise<void> {
    const { state } = await this.catalogue.jobs.progress(this.#job.id)
    const expected: Readonly<Record<string, JobState>> = {
      pause: 'paused',
      resume: 'queued',
      cancel: 'canceled',
      retry: ENDED.includes(before) ? 'queued' : before,
    }
    assert.equal(state, expected[action], `after ${action} of a ${before} job`)
  }

  async #scan(): Promise<void> {
    const { queue } = this.catalogue
    const claimed = await queue.claimScan({ ...WORKER, job: this.#job.id })
    if (!claimed || claimed.isScanned) return
    const count = Math.floor(this.random() * 4)
    const files = Array.from({ length: count }, () => ({
      path: `/library/${this.#files++}`,
      bytes: 1,
      mtimeMs: 1,
    }))
    await queue.addFound(this.#job.id, WORKER.worker, { files, unchanged: [], quarantined: [] })
    await queue.endScan(this.#job.id, WORKER.worker)
  }

  async #claim(): Promise<void> {
    const holder = { ...WORKER, job: this.#job.id }
    this.#leases.push(...(await this.catalogue.queue.claimItems(holder, 1)))
  }

  /** A lease that was lost, as by a pause, ends nothing. */
  async #end(): Promise<void> {
    const [lease] = this.#leases.splice(Math.floor(this.random() * this.#leases.length), 1)
    if (!lease) return
    const held = await this.catalogue.queue.leasesOf(WORKER.worker)
    const before = await this.catalogue.jobs.progress(this.#job.id)
    const end = this.random() < 0.5 ? this.#succeed(lease) : this.#fail(lease)
    const isLost = await end.then(
      () => false,
      (error) => error instanceof LeaseLost,
    )
    const { revision } = await this.catalogue.jobs.progress(this.#job.id)
    if (!held.items.has(lease.item)) assert.ok(isLost, 'an item that is not held was ended')
    assert.equal(revision > before.revision, !isLost)
  }

  async #succeed(lease: Lease): Promise<void> {
    const stageMs = { read: 1, decode: 1, encode: 1 }
    const end = { lease, outcome: 'indexed', seconds: 1, stageMs } as const
    await this.catalogue.commit([{ type: 'endItem', end }])
  }

  async #fail(lease: Lease): Promise<void> {
    const { path, bytes, mtimeMs } = lease
    const failure = { path, bytes, mtimeMs, code: 'MEDIA_DAMAGED', detail: 'cut' }
    await recordFailure(this.catalogue, failure, lease)
  }

  async #finish(): Promise<void> {
    const { queue, jobs } = this.catalogue
    const before = await jobs.progress(this.#job.id)
    const isOver = (await queue.jobsToFinish({ job: this.#job.id })).length > 0
    await queue.finishJob(this.#job.id)
    const { state, counts } = await jobs.progress(this.#job.id)
    if (!isOver) assert.equal(state, before.state)
    else
      assert.equal(state, counts.failed === 0 ? 'succeeded' : counts.indexed ? 'partial' : 'failed')
  }

  async #check(): Promise<void> {
    const job = await this.catalogue.jobs.job(this.#job.id)
    const items = await this.catalogue.jobs.items(job.id, { limit: 10_000 })
    for (const [state, count] of Object.entries(job.counts)) {
      assert.equal(items.filter((item) => item.state === state).length, count, `counts of ${state}`)
    }
    assert.equal(job.counts.running > 0 && job.state !== 'running', false)
    assert.equal(job.endedAt !== null, ENDED.includes(job.state))
    this.visited.add(job.state)
    this.#job = job
  }
}
