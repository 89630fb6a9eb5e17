import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { PACKAGE_DIR } from '../config.js'
import { ffmpegBuild } from '../media/ffmpeg-build.js'
import type { HttpParts } from './parts.js'

const CHECK_MS = 3_000
const LOOK_MS = 5_000
/** A process that cannot read a file, or has no encoder, for so long does not recover by itself. */
const STUCK_MS = 120_000

/** The checks that a server must pass to answer queries, by name. Each throws if it does not hold. */
function checksOf({ app, receiver }: HttpParts): Readonly<Record<string, () => Promise<unknown>>> {
  return {
    catalogue: () => app.run(({ gallery }) => gallery.catalogue.head()),
    encoder: () =>
      app.run(async ({ encoder }) => {
        if (!encoder.alive) throw new Error('the thread of the encoder is missing')
      }),
    ffmpeg: ffmpegBuild,
    files: readSomething,
    uploads: () => receiver.check(),
  }
}

/** Names of the checks that fail, or have no answer in time. */
export async function failingChecks(parts: HttpParts): Promise<readonly string[]> {
  const failing = await Promise.all(
    Object.entries(checksOf(parts)).map(async ([name, check]) => {
      const isPassed = check().then(
        () => true,
        () => false,
      )
      return (await Promise.race([isPassed, sleep(CHECK_MS, false)])) ? [] : [name]
    }),
  )
  return failing.flat()
}

/** Watches whether the process still does its work. */
export class Liveness implements Disposable {
  readonly #timer: NodeJS.Timeout
  #readMs = performance.now() // when a file was last read
  #isReading = false

  constructor(private readonly app: HttpParts['app']) {
    this.#timer = setInterval(() => void this.#look(), LOOK_MS)
    this.#timer.unref()
  }

  async isStuck(): Promise<boolean> {
    const brokenMs = await this.app.run(async ({ encoder }) => encoder.brokenMs)
    return brokenMs > STUCK_MS || performance.now() - this.#readMs > STUCK_MS
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
