interface Shared<T> {
  readonly part: T
  readonly replaced: AbortController
  users: number
  onUnused?: () => void
}

/**
 * Holds a shared resource and replaces it without a pause. It closes the old resource when no
 * caller uses it.
 */
export class HotSwap<T extends AsyncDisposable> implements AsyncDisposable {
  #shared: Shared<T>
  readonly #closing = new Set<Promise<void>>()

  constructor(part: T) {
    this.#shared = shared(part)
  }

  /** The current resource. */
  get current(): T {
    return this.#shared.part
  }

  /**
   * Runs work with the current resource. The resource stays open until the work ends. `replaced`
   * aborts when the resource is replaced.
   */
  async run<R>(work: (part: T, replaced: AbortSignal) => Promise<R>): Promise<R> {
    const used = this.#shared
    used.users++
    try {
      return await work(used.part, used.replaced.signal)
    } finally {
      if (--used.users === 0) used.onUnused?.()
    }
  }

  /** Replaces the resource. Closes the old one when no caller uses it. */
  replace(part: T): void {
    const old = this.#shared
    this.#shared = shared(part)
    old.replaced.abort()
    const closed = unused(old)
      .then(() => old.part[Symbol.asyncDispose]())
      .catch((error) => process.emitWarning(`The replaced resource could not be closed: ${error}`))
      .finally(() => this.#closing.delete(closed))
    this.#closing.add(closed)
  }

  /** Closes the current resource and waits for the old ones. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.current[Symbol.asyncDispose]()
    await Promise.all(this.#closing)
  }
}

const shared = <T>(part: T): Shared<T> => ({ part, replaced: new AbortController(), users: 0 })

function unused<T>(used: Shared<T>): Promise<void> {
  if (used.users === 0) return Promise.resolve()
  return new Promise((resolve) => {
    used.onUnused = resolve
  })
}
