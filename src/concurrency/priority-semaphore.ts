import { AppError } from '../errors.js'

/** The priority of work. Queries, for which a person waits, run before background work. */
export type WorkPriority = 'query' | 'ingest'

/** The limits of a semaphore. */
export interface SemaphoreOptions {
  /** The capacity, as a number of tasks or bytes. */
  readonly permits: number
  /** Permits that only queries can take, so that a query never waits for background work. */
  readonly reservedForQueries: number
  /** The maximum number of waiting queries. A further query throws SERVER_BUSY. */
  readonly queueLength: number
  /** The maximum wait of a query in ms. After it, the query throws SERVER_BUSY. */
  readonly queueMs: number
}

interface Waiter {
  readonly weight: number
  readonly grant: () => void
}

/**
 * Limits the amount of concurrent work. Queries wait in a bounded queue and run before background
 * work.
 */
export class PrioritySemaphore {
  readonly #options: SemaphoreOptions
  readonly #waiting: Readonly<Record<WorkPriority, Set<Waiter>>> = {
    query: new Set(),
    ingest: new Set(),
  }
  #free: number

  constructor(options: SemaphoreOptions) {
    this.#options = options
    this.#free = options.permits
  }

  /** Takes `weight` permits. Disposal of the result releases them once. Throws SERVER_BUSY. */
  async acquire(priority: WorkPriority, weight = 1, signal?: AbortSignal): Promise<Disposable> {
    signal?.throwIfAborted()
    if (this.#isFreeFor(priority, weight) && this.#isNext(priority)) this.#free -= weight
    else await this.#wait(priority, weight, signal)
    let held = true
    return {
      [Symbol.dispose]: () => {
        if (!held) return
        held = false
        this.#free += weight
        this.#grantNext()
      },
    }
  }

  #isFreeFor(priority: WorkPriority, weight: number): boolean {
    return this.#free - weight >= (priority === 'query' ? 0 : this.#options.reservedForQueries)
  }

  #isNext(priority: WorkPriority): boolean {
    return (
      this.#waiting.query.size === 0 && (priority === 'query' || this.#waiting.ingest.size === 0)
    )
  }

  async #wait(
    priority: WorkPriority,
    weight: number,
    signal: AbortSignal | undefined,
  ): Promise<void> {
    const { queueLength, queueMs } = this.#options
    const waiting = this.#waiting[priority]
    if (priority === 'query' && waiting.size >= queueLength) throw busy()
    await new Promise<void>((resolve, reject) => {
      const end = () => {
        clearTimeout(timer)
        signal?.removeEventListener('abort', onAbort)
        waiting.delete(waiter)
      }
      const waiter = {
        weight,
        grant: () => {
          end()
          this.#free -= weight
          resolve()
        },
      }
      const onAbort = () => {
        end()
        reject(signal?.reason)
      }
      const onTimeout = () => {
        end()
        reject(busy())
      }
      const timer = priority === 'query' ? setTimeout(onTimeout, queueMs) : undefined
      signal?.addEventListener('abort', onAbort)
      waiting.add(waiter)
    })
  }

  /** Grants permits in order. The first waiter blocks later ones, even if it needs more permits. */
  #grantNext(): void {
    for (const priority of ['query', 'ingest'] as const) {
      for (const waiter of this.#waiting[priority]) {
        if (!this.#isFreeFor(priority, waiter.weight)) return
        waiter.grant()
      }
    }
  }
}

function busy(): AppError {
  return new AppError(
    'SERVER_BUSY',
    'Too much work is already waiting. Try again in a few seconds.',
  )
}
