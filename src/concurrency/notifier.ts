/**
 * Notifies listeners of an event. It counts events, so that a caller misses none between two waits.
 */
export class Notifier {
  #count = 0
  readonly #listeners = new Set<() => void>()

  /** The number of events so far. */
  get count(): number {
    return this.#count
  }

  /** Counts an event and calls all listeners. */
  notify(): void {
    this.#count++
    for (const listener of [...this.#listeners]) listener()
  }

  /** Calls the listener at each event until the result is disposed. */
  subscribe(listener: () => void): Disposable {
    this.#listeners.add(listener)
    return { [Symbol.dispose]: () => void this.#listeners.delete(listener) }
  }

  /**
   * Resolves when more than `seen` events have occurred, after `ms` milliseconds, or when the
   * signal aborts.
   */
  async wait(seen: number, ms: number, signal?: AbortSignal): Promise<void> {
    if (this.#count > seen || signal?.aborted) return
    await new Promise<void>((resolve) => {
      const end = () => {
        clearTimeout(timer)
        subscription[Symbol.dispose]()
        signal?.removeEventListener('abort', end)
        resolve()
      }
      const timer = setTimeout(end, ms)
      const subscription = this.subscribe(end)
      signal?.addEventListener('abort', end, { once: true })
    })
  }
}
