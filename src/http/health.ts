import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { SingleFlight } from '../concurrency/single-flight.js'
import { PACKAGE_DIR } from '../config.js'
import { ffmpegBuild } from '../media/process/ffmpeg-build.js'
import type { HttpDeps } from './http-deps.js'

const CHECK_MS = 3_000
const READ_INTERVAL_MS = 5_000
/** A batch normally takes a few seconds. After this time, queries do not get an answer. */
const SLOW_BATCH_MS = 30_000
/**
 * After this time a process does not recover if it cannot read a file, has no encoder, or waits for
 * a batch of the encoder.
 */
const STUCK_MS = 120_000

type Checks = Readonly<Record<string, () => Promise<unknown>>>

/** Returns the checks of readiness by name. A check throws if its condition does not hold. */
function checksOf({ app, receiver }: Pick<HttpDeps, 'app' | 'receiver'>): Checks {
  return {
    catalogue: () => app.run(({ gallery }) => gallery.catalogue.log.head()),
    encoder: () =>
      app.run(async ({ encoder }) => {
        if (!encoder.isAvailable) throw new Error('the thread of the encoder is missing')
        if (encoder.batchMs > SLOW_BATCH_MS) throw new Error('the encoder hangs')
      }),
    ffmpeg: ffmpegBuild,
    files: readSomething,
    uploads: () => receiver.check(),
  }
}

/** Checks whether the server can answer queries. */
export class Readiness {
  readonly #checks: Checks
  readonly #running = new SingleFlight() // a check that hangs does not start twice

  constructor(deps: Pick<HttpDeps, 'app' | 'receiver'>) {
    this.#checks = checksOf(deps)
  }

  /** Returns the names of the checks that fail or do not end in time. */
  async failing(): Promise<readonly string[]> {
    const failing = await Promise.all(
      Object.entries(this.#checks).map(async ([name, check]) => {
        const isPassed = this.#running.join(name, undefined, check).then(
          () => true,
          () => false,
        )
        return (await Promise.race([isPassed, sleep(CHECK_MS, false)])) ? [] : [name]
      }),
    )
    return failing.flat()
  }
}

/** Monitors whether the process makes progress. */
export class Liveness implements Disposable {
  readonly #timer: NodeJS.Timeout
  #readMs = performance.now() // time of the last successful read
  #isReading = false

  constructor(private readonly app: HttpDeps['app']) {
    this.#timer = setInterval(() => void this.#tryRead(), READ_INTERVAL_MS)
    this.#timer.unref()
  }

  /** Returns whether the process cannot recover without a restart. */
  async isStuck(): Promise<boolean> {
    const { unavailableMs, batchMs } = await this.app.run(async ({ encoder }) => encoder)
    return (
      Math.max(unavailableMs, batchMs) > STUCK_MS || performance.now() - this.#readMs > STUCK_MS
    )
  }

  async #tryRead(): Promise<void> {
    if (this.#isReading) return
    this.#isReading = true
    await readSomething().then(
      () => {
        this.#readMs = performance.now()
      },
      () => {},
    )
    this.#isReading = false
  }

  [Symbol.dispose](): void {
    clearInterval(this.#timer)
  }
}

const readSomething = () => readFile(join(PACKAGE_DIR, 'package.json'))
