/** One mutex per key. Work on the same key runs sequentially, in the order of the calls. */
export class KeyedMutex {
  readonly #last = new Map<string, Promise<void>>()

  /** Waits for all earlier holders of the key. Disposal of the result releases the key. */
  async acquire(key: string): Promise<Disposable> {
    const previous = this.#last.get(key)
    let release = () => {}
    const current = new Promise<void>((resolve) => {
      release = resolve
    })
    this.#last.set(key, current)
    await previous
    return {
      [Symbol.dispose]: () => {
        if (this.#last.get(key) === current) this.#last.delete(key)
        release()
      },
    }
  }
}
