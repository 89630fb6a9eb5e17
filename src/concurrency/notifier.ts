/** A wait that can be cut short: whoever waits goes on when it rings, and at once when it rang while nobody waited. */
export class Notifier {
  #rang = false
  #wake = () => {}

  notify(): void {
    this.#rang = true
    this.#wake()
  }

  async wait(ms: number): Promise<void> {
    if (!this.#rang) {
      await new Promise<void>((resolve) => {
        const timer = setTimeout(resolve, ms)
        this.#wake = () => {
          clearTimeout(timer)
          resolve()
        }
      })
    }
    this.#rang = false
  }
}
