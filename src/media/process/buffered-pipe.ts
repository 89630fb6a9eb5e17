import type { Readable } from 'node:stream'

/** Bytes buffered before the writer must wait: over a minute of audio, or ten seconds of frames. */
const BUFFER_BYTES = 8 * 1024 ** 2

/**
 * Buffers a stream ahead of its one reader. Exposes how full the buffer is. Lets the reader discard
 * the rest without stopping the writer.
 */
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
    onActivity: () => void,
  ) {
    stream.on('data', (chunk: Buffer) => {
      onActivity()
      this.#append(chunk)
    })
    stream.on('error', () => {}) // 'close' follows, and the exit code says what failed
    stream.on('close', () => {
      this.#ended = true
      this.#wake()
    })
  }

  get isEmpty(): boolean {
    return this.#bytes === 0
  }

  get isFull(): boolean {
    return this.#bytes >= BUFFER_BYTES
  }

  /** Returns the next chunk, or null at the end or after `discard`. Supports one reader only. */
  async next(): Promise<Buffer | null> {
    if (this.isEmpty && !this.#ended && !this.isDiscarded) await this.#nextChange()
    const chunk = this.#chunks.shift() ?? null
    this.#bytes -= chunk?.length ?? 0
    if (!this.isFull) this.stream.resume()
    return chunk
  }

  /** Drops the buffer and everything that arrives later. The writer then never waits. */
  discard(): void {
    this.isDiscarded = true
    this.#chunks = []
    this.#bytes = 0
    this.stream.resume()
    this.#wake()
  }

  #append(chunk: Buffer): void {
    if (this.isDiscarded) return
    this.#chunks.push(chunk)
    this.#bytes += chunk.length
    this.#wake()
    if (!this.isFull) return
    this.stream.pause()
    this.onFull()
  }

  async #nextChange(): Promise<void> {
    this.isAwaited = true
    await new Promise<void>((resolve) => {
      this.#wake = resolve
    })
    this.isAwaited = false
  }
}
