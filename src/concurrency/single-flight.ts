import { setMaxListeners } from 'node:events'

interface Flight {
  readonly result: Promise<unknown>
  readonly abort: AbortController
  callers: number
}

/** Runs equal work once for all concurrent callers. */
export class SingleFlight {
  readonly #flights = new Map<string, Flight>()

  /**
   * Returns the result of the work of the key. Starts the work if none runs. The signal of the work
   * aborts after the signals of all callers have aborted.
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
      return (await flight.result) as T // each key belongs to one kind of work
    } finally {
      signal?.removeEventListener('abort', leave)
    }
  }

  #start(key: string, work: (signal: AbortSignal) => Promise<unknown>): Flight {
    const previous = this.#flights.get(key)?.result
    const abort = new AbortController()
    setMaxListeners(0, abort.signal) // one listener per frame that waits for the encoder
    const run = async () => {
      await previous?.catch(() => {}) // aborted work ends before the next work starts
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
