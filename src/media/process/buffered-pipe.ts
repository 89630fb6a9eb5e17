import type { Readable } from 'node:stream'

/** Bytes read ahead of the reader; beyond them the writer waits. A minute and more of sound, ten seconds of frames. */
const AHEAD_BYTES = 8 * 1024 ** 2

/** A stream read ahead of its reader, who can ask how far, and can leave without stopping the writer. */
export class BufferedPipe {
  onFull: () => void = () => {}
  isAwaited = false
  isDiscarded = false
  #chunks: Buffer[] = []
  #bytes = 0
  #ended = false
  #wake: () => void = () => {}

  constructor(
    private readonly stream: Readable,
    showLife: () => void,
  ) {
    stream.on('data', (chunk: Buffer) => {
      showLife()
      this.#take(chunk)
    })
    stream.on('error', () => {}) // 'close' follows; how the process ended says the rest
    stream.on('close', () => {
      this.#ended = true
      this.#wake()
    })
  }

  get isEmpty(): boolean {
    return this.#bytes === 0
  }

  get isFull(): boolean {
    return this.#bytes >= AHEAD_BYTES
  }

  /** The next chunk; null at the end, or when this is abandoned. One reader only. */
  async next(): Promise<Buffer | null> {
    if (this.isEmpty && !this.#ended && !this.isDiscarded) await this.#arrival()
    const chunk = this.#chunks.shift() ?? null
    this.#bytes -= chunk?.length ?? 0
    if (!this.isFull) this.stream.resume()
    return chunk
  }

  /** From here on what comes is thrown away, and the writer never waits. */
  discard(): void {
    this.isDiscarded = true
    this.#chunks = []
    this.#bytes = 0
    this.stream.resume()
    this.#wake()
  }

  #take(chunk: Buffer): void {
    if (this.isDiscarded) return
    this.#chunks.push(chunk)
    this.#bytes += chunk.length
    this.#wake()
    if (!this.isFull) return
    this.stream.pause()
    this.onFull()
  }

  async #arrival(): Promise<void> {
    this.isAwaited = true
    await new Promise<void>((resolve) => {
      this.#wake = resolve
    })
    this.isAwaited = false
  }
}
