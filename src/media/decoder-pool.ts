import { availableParallelism } from 'node:os'
import { PrioritySemaphore, type WorkPriority } from '../concurrency/priority-semaphore.js'
import { LIMITS } from '../config.js'
import type { Probe } from './probe.js'

const STILL_BYTES_PER_PIXEL = 8 // 16 bits in four channels
const VIDEO_BYTES_PER_PIXEL = 48 // a decoder holds up to 16 reference frames

/** What one decoder process may use; the operating system enforces it. */
export interface ProcessLimits {
  readonly memoryBytes: number
  readonly cpuSeconds: number | null // null: not limited
}

/** A permit to decode one file. Disposing of it lets the next one in. */
export interface DecoderSlot extends Disposable {
  readonly limits: ProcessLimits
  /**
   * Exchanges the permit for one with memory for a large picture or video, of which there is one. The
   * ordinary permit is free meanwhile. Throws SERVER_BUSY.
   */
  enlarge(signal?: AbortSignal): Promise<void>
}

/**
 * The one budget of all decoder processes: how many run at once, and what each may use. Queries,
 * thumbnails and ingestion share it. Some permits are kept for queries, which also come first.
 */
export class DecoderPool {
  readonly #ordinary: PrioritySemaphore
  readonly #large: PrioritySemaphore

  constructor(cores = availableParallelism()) {
    const queue = { queueLength: LIMITS.waitingQueries, queueMs: LIMITS.queryWaitMs }
    // One more than there are cores for ingestion: one or another waits for its file.
    this.#ordinary = new PrioritySemaphore({ permits: 2 * cores + 1, reservedForQueries: cores, ...queue })
    this.#large = new PrioritySemaphore({ permits: 1, reservedForQueries: 0, ...queue })
  }

  /** Waits for a permit. Throws SERVER_BUSY if too many queries wait already. */
  async enter(priority: WorkPriority, signal?: AbortSignal): Promise<DecoderSlot> {
    return new Slot(await this.#ordinary.acquire(priority, signal), this.#large, priority)
  }
}

class Slot implements DecoderSlot {
  #permit: Disposable
  #isLarge = false

  constructor(
    permit: Disposable,
    private readonly large: PrioritySemaphore,
    private readonly priority: WorkPriority,
  ) {
    this.#permit = permit
  }

  get limits(): ProcessLimits {
    return {
      memoryBytes: this.#isLarge ? LIMITS.largeDecoderBytes : LIMITS.decoderBytes,
      cpuSeconds: this.priority === 'query' ? LIMITS.queryCpuSeconds : null,
    }
  }

  async enlarge(signal?: AbortSignal): Promise<void> {
    if (this.#isLarge) return
    this.#permit[Symbol.dispose]()
    this.#permit = await this.large.acquire(this.priority, signal)
    this.#isLarge = true
  }

  [Symbol.dispose](): void {
    this.#permit[Symbol.dispose]()
  }
}

/** Whether decoding needs more memory than an ordinary permit gives. */
export function needsMuchMemory({ picture, isStill }: Pick<Probe, 'picture' | 'isStill'>): boolean {
  const pixels = picture ? picture.width * picture.height : 0
  const bytes = pixels * (isStill ? STILL_BYTES_PER_PIXEL : VIDEO_BYTES_PER_PIXEL)
  return bytes > LIMITS.decoderBytes / 2
}
