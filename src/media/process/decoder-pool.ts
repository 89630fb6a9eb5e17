import { availableParallelism, totalmem } from 'node:os'
import { PrioritySemaphore, type WorkPriority } from '../../concurrency/priority-semaphore.js'
import { MEDIA_LIMITS } from '../staging/limits.js'
import type { ProcessLimits } from '../staging/staged-file.js'

const MIB = 1024 ** 2
/** Of the program itself, its threads and buffers. */
const BASE_BYTES = 128 * MIB
const STILL_BYTES_PER_PIXEL = 8 // 16 bits in four channels
const VIDEO_BYTES_PER_PIXEL = 64 // up to 16 reference frames of 10 bits, and those on their way

/** The part of a header that tells how much memory decoding takes. */
export interface DecodeSize {
  readonly video: { readonly width: number; readonly height: number } | null
  readonly isStill: boolean
}

/** A permit to decode one file. Disposing of it lets the next one in. */
export interface DecoderSlot extends Disposable {
  readonly limits: ProcessLimits
  /**
   * Gets enough memory for the picture or video of a header, if the permit does not have it. It gives
   * the permit back and waits for one of the few large ones. Throws SERVER_BUSY.
   */
  enlargeFor(header: DecodeSize, signal?: AbortSignal): Promise<void>
}

/**
 * The one budget of all decoder processes: how many run at once, and what each may use. Queries,
 * thumbnails and ingestion share it. Some permits are kept for queries, which also come first.
 */
export class DecoderPool {
  readonly #ordinary: PrioritySemaphore
  readonly #memory: PrioritySemaphore // bytes, of large decoders

  constructor(cores = availableParallelism()) {
    const queue = { queueLength: MEDIA_LIMITS.waitingQueries, queueMs: MEDIA_LIMITS.queryWaitMs }
    // Ingestion gets one more than there are cores: one or another waits for its file.
    const permits = 2 * cores + 1
    this.#ordinary = new PrioritySemaphore({ permits, reservedForQueries: cores, ...queue })
    const bytes = Math.max(MEDIA_LIMITS.largeDecoderBytes, totalmem() / 4)
    this.#memory = new PrioritySemaphore({ permits: bytes, reservedForQueries: 0, ...queue })
  }

  /** Waits for a permit. Throws SERVER_BUSY if too many queries wait already. */
  async enter(priority: WorkPriority, signal?: AbortSignal): Promise<DecoderSlot> {
    const permit = await this.#ordinary.acquire(priority, 1, signal)
    return new Slot(permit, this.#memory, priority)
  }
}

class Slot implements DecoderSlot {
  #permit: Disposable
  #memoryBytes: number = MEDIA_LIMITS.decoderBytes

  constructor(
    permit: Disposable,
    private readonly memory: PrioritySemaphore,
    private readonly priority: WorkPriority,
  ) {
    this.#permit = permit
  }

  get limits(): ProcessLimits {
    const cpuSeconds = this.priority === 'query' ? MEDIA_LIMITS.queryCpuSeconds : null
    return { memoryBytes: this.#memoryBytes, cpuSeconds }
  }

  async enlargeFor(header: DecodeSize, signal?: AbortSignal): Promise<void> {
    const wanted = Math.min(bytesToDecode(header), MEDIA_LIMITS.largeDecoderBytes)
    if (wanted <= this.#memoryBytes) return
    this.#permit[Symbol.dispose]()
    this.#permit = await this.memory.acquire(this.priority, wanted, signal)
    this.#memoryBytes = wanted
  }

  [Symbol.dispose](): void {
    this.#permit[Symbol.dispose]()
  }
}

/** An estimate from above of the memory that decoding takes. */
function bytesToDecode({ video, isStill }: DecodeSize): number {
  const pixels = video ? video.width * video.height : 0
  return BASE_BYTES + pixels * (isStill ? STILL_BYTES_PER_PIXEL : VIDEO_BYTES_PER_PIXEL)
}
