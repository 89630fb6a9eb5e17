import { availableParallelism, totalmem } from 'node:os'
import { PrioritySemaphore, type WorkPriority } from '../../concurrency/priority-semaphore.js'
import { MEDIA_LIMITS } from '../staging/limits.js'
import type { ProcessLimits } from '../staging/staged-file.js'

const MIB = 1024 ** 2
/** Memory of ffmpeg itself, its threads and buffers. */
const BASE_BYTES = 128 * MIB
const STILL_BYTES_PER_PIXEL = 8 // 16 bits in four channels
const VIDEO_BYTES_PER_PIXEL = 64 // up to 16 reference frames of 10 bits, and frames in filters

/** The fields of a header that determine how much memory decoding takes. */
interface DecodeSize {
  readonly video: { readonly width: number; readonly height: number } | null
  readonly isStill: boolean
}

/** A permit to decode one file. Dispose releases it. */
export interface DecoderSlot extends Disposable {
  readonly limits: ProcessLimits
  /**
   * Raises the memory limit to what the video or image of a header needs. Releases the permit first
   * and waits for a large one, of which there are few. Throws SERVER_BUSY.
   */
  enlargeFor(header: DecodeSize, signal?: AbortSignal): Promise<void>
}

/**
 * Limits how many decoder processes run at once and what each may use. Queries, thumbnails and
 * ingestion share one pool. Some permits are reserved for queries, which also go first.
 */
export class DecoderPool {
  readonly #ordinary: PrioritySemaphore
  readonly #memory: PrioritySemaphore // bytes, of large decoders

  constructor(cores = availableParallelism()) {
    const queue = { queueLength: MEDIA_LIMITS.waitingQueries, queueMs: MEDIA_LIMITS.queryWaitMs }
    // Ingestion gets one permit more than there are cores, since some decoder always waits for its
    // file.
    const permits = 2 * cores + 1
    this.#ordinary = new PrioritySemaphore({ permits, reservedForQueries: cores, ...queue })
    const bytes = Math.max(MEDIA_LIMITS.largeDecoderBytes, totalmem() / 4)
    this.#memory = new PrioritySemaphore({ permits: bytes, reservedForQueries: 0, ...queue })
  }

  /** Waits for a permit. Throws SERVER_BUSY if too many queries wait. */
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
    const bytes = Math.min(maxBytesToDecode(header), MEDIA_LIMITS.largeDecoderBytes)
    if (bytes <= this.#memoryBytes) return
    this.#permit[Symbol.dispose]()
    this.#permit = await this.memory.acquire(this.priority, bytes, signal)
    this.#memoryBytes = bytes
  }

  [Symbol.dispose](): void {
    this.#permit[Symbol.dispose]()
  }
}

/** Returns an upper bound of the memory that decoding takes, in bytes. */
function maxBytesToDecode({ video, isStill }: DecodeSize): number {
  const pixels = video ? video.width * video.height : 0
  return BASE_BYTES + pixels * (isStill ? STILL_BYTES_PER_PIXEL : VIDEO_BYTES_PER_PIXEL)
}
