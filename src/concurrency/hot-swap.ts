interface Shared<T> {
  readonly part: T
  readonly replaced: AbortController
  users: number
  onUnused?: () => void
}

/** Holds a part that many use at once, and changes it for another without a pause: the old one is closed once unused. */
export class HotSwap<T extends AsyncDisposable> implements AsyncDisposable {
  #shared: Shared<T>
  readonly #leaving = new Set<Promise<void>>()

  constructor(part: T) {
    this.#shared = shared(part)
  }

  get current(): T {
    return this.#shared.part
  }

  /** Runs work on what is current now, which stays open until the work is done; `replaced` aborts when it is current no more. */
  async run<R>(work: (part: T, replaced: AbortSignal) => Promise<R>): Promise<R> {
    const used = this.#shared
    used.users++
    try {
      return await work(used.part, used.replaced.signal)
    } finally {
      if (--used.users === 0) used.onUnused?.()
    }
  }

  replace(part: T): void {
    const old = this.#shared
    this.#shared = shared(part)
    old.replaced.abort()
    const left = unused(old)
      .then(() => old.part[Symbol.asyncDispose]())
      .catch((error) => process.emitWarning(`What was replaced could not be closed: ${error}`))
      .finally(() => this.#leaving.delete(left))
    this.#leaving.add(left)
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.current[Symbol.asyncDispose]()
    await Promise.all(this.#leaving)
  }
}

const shared = <T>(part: T): Shared<T> => ({ part, replaced: new AbortController(), users: 0 })

function unused<T>(used: Shared<T>): Promise<void> {
  if (used.users === 0) return Promise.resolve()
  return new Promise((resolve) => {
    used.onUnused = resolve
  })
}
