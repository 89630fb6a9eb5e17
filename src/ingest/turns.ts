/** Lets those who work on the same thing do so one after the other. */
export class Turns {
  readonly #last = new Map<string, Promise<void>>()

  /** Waits for all that asked for the key before; the turn ends when what is answered is disposed of. */
  async take(key: string): Promise<Disposable> {
    const before = this.#last.get(key)
    let end = () => {}
    const mine = new Promise<void>((resolve) => {
      end = resolve
    })
    this.#last.set(key, mine)
    await before
    return {
      [Symbol.dispose]: () => {
        if (this.#last.get(key) === mine) this.#last.delete(key)
        end()
      },
    }
  }
}
