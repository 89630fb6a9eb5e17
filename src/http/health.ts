import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { SingleFlight } from '../concurrency/single-flight.js'
import { PACKAGE_DIR } from '../config.js'
import { ffmpegBuild } from '../media/process/ffmpeg-build.js'
import type { HttpDeps } from './http-deps.js'

const CHECK_MS = 3_000
const LOOK_MS = 5_000
/** A batch takes a few seconds. While one runs for this long, queries have no answer. */
const SLOW_BATCH_MS = 30_000
/**
 * A process does not recover by itself if for this long it cannot read a file, has no encoder, or
 * waits for a batch of the encoder.
 */
const STUCK_MS = 120_000

type Checks = Readonly<Record<string, () => Promise<unknown>>>

/** The checks that a server must pass to answer queries, by name. Each throws if it does not hold. */
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

/** Tells whether the server can answer queries. */
export class Readiness {
  readonly #checks: Checks
  readonly #running = new SingleFlight() // a check that hangs is not started a second time

  constructor(deps: Pick<HttpDeps, 'app' | 'receiver'>) {
    this.#checks = checksOf(deps)
  }

  /** Names of the checks that fail, or have no answer in time. */
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

/** Watches whether the process still does its work. */
export class Liveness implements Disposable {
  readonly #timer: NodeJS.Timeout
  #readMs = performance.now() // when a file was last read
  #isReading = false

  constructor(private readonly app: HttpDeps['app']) {
    this.#timer = setInterval(() => void this.#look(), LOOK_MS)
    this.#timer.unref()
  }

  async isStuck(): Promise<boolean> {
    const { unavailableMs, batchMs } = await this.app.run(async ({ encoder }) => encoder)
    return (
      Math.max(unavailableMs, batchMs) > STUCK_MS || performance.now() - this.#readMs > STUCK_MS
    )
  }

  async #look(): Promise<void> {
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
