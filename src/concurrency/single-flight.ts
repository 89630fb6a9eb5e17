import { setMaxListeners } from 'node:events'

interface Flight {
  readonly result: Promise<unknown>
  readonly abort: AbortController
  callers: number
}

/** Runs equal work once for all who ask for it at the same time. */
export class SingleFlight {
  readonly #flights = new Map<string, Flight>()

  /**
   * Answers with the result of the work that runs for the key, and starts it if none runs. The work's
   * signal aborts once the signals of all its callers have aborted.
   */
  async join<T>(
    key: string,
    signal: AbortSignal | undefined,
    work: (signal: AbortSignal) => Promise<T>,
  ): Promise<T> {
    signal?.throwIfAborted()
    const running = this.#flights.get(key)
    const flight = running && !running.abort.signal.aborted ? running : this.#start(key, work)
    flight.callers++
    const leave = () => {
      if (--flight.callers === 0) flight.abort.abort(signal?.reason)
    }
    signal?.addEventListener('abort', leave, { once: true })
    try {
      return (await flight.result) as T // the key stands for this work alone
    } finally {
      signal?.removeEventListener('abort', leave)
    }
  }

  #start(key: string, work: (signal: AbortSignal) => Promise<unknown>): Flight {
    const before = this.#flights.get(key)?.result
    const abort = new AbortController()
    setMaxListeners(0, abort.signal) // one for each frame that waits for the encoder
    const run = async () => {
      await before?.catch(() => {}) // aborted work ends before the next begins
      return await work(abort.signal)
    }
    const flight: Flight = { result: run(), abort, callers: 0 }
    this.#flights.set(key, flight)
    const forget = () => {
      if (this.#flights.get(key) === flight) this.#flights.delete(key)
    }
    flight.result.then(forget, forget)
    return flight
  }
}
