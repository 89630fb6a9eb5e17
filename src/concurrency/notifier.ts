/** Wakes everyone who waits for an event. Events are counted, so that none is missed between waits. */
export class Notifier {
  #count = 0
  readonly #listeners = new Set<() => void>()

  /** The number of events so far. */
  get count(): number {
    return this.#count
  }

  notify(): void {
    this.#count++
    for (const listener of [...this.#listeners]) listener()
  }

  /** Calls the listener at each event until the answer is disposed of. */
  subscribe(listener: () => void): Disposable {
    this.#listeners.add(listener)
    return { [Symbol.dispose]: () => void this.#listeners.delete(listener) }
  }

  /** Resolves once there were more than `seen` events, after `ms`, or when the signal aborts. */
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
