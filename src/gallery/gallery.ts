import type { Seq } from '../domain/ids.js'
import { MODALITIES, type Modality } from '../domain/modality.js'
import { AppError } from '../errors.js'
import type { Catalogue } from './catalogue/catalogue.js'
import { measureRecall, type Recall } from './vector/recall.js'
import type { NearestQuery, Neighbours, VectorIndex } from './vector/vector-index.js'

const PAGE = 512 // changes in one read
const COMPACT_AFTER = 10_000 // changes

/** The catalogue of a gallery and a function that opens an index for it. */
export interface GalleryDeps {
  readonly catalogue: Catalogue
  readonly openIndex: (from: 'snapshot' | 'empty') => Promise<VectorIndex>
}

/** The result of a comparison of the index with the catalogue, embedding by embedding. */
export interface IndexCheck {
  readonly whole: boolean
  readonly expected: Readonly<Record<Modality, number>>
  readonly held: Readonly<Record<Modality, number>>
  readonly missing: number
}

/** An index and its position in the log. */
interface FollowingIndex {
  readonly index: VectorIndex
  cursor: Seq
  compactedAtStart?: Seq // the compaction point at the first read
}

/**
 * `latest`: the answer includes everything that was committed before the query. `bounded`: the
 * answer includes only what the index has already applied.
 */
export type Freshness = 'latest' | 'bounded'

/** Answers queries from a catalogue and from an index that follows its log. */
export class Gallery implements AsyncDisposable {
  readonly catalogue: Catalogue
  readonly #openIndex: GalleryDeps['openIndex']
  readonly #closing = new AbortController()
  #following: FollowingIndex
  #compacted: Seq = 0 // the last compaction point of this gallery
  #running: Promise<void> | undefined

  /** Opens the index from its newest snapshot. */
  static async open({ catalogue, openIndex }: GalleryDeps): Promise<Gallery> {
    return new Gallery({ catalogue, openIndex }, await followFrom(await openIndex('snapshot')))
  }

  private constructor({ catalogue, openIndex }: GalleryDeps, index: FollowingIndex) {
    this.catalogue = catalogue
    this.#openIndex = openIndex
    this.#following = index
  }

  get #index(): VectorIndex {
    return this.#following.index
  }

  /**
   * Resolves when the index has applied everything that was committed before the call. Concurrent
   * callers share one run.
   */
  async follow(signal?: AbortSignal): Promise<void> {
    const head = await this.catalogue.log.head()
    if (this.#following.cursor > head) return this.rebuild(signal) // an older copy was restored
    while (this.#following.cursor < head) await this.#run(() => this.#catchUp(), signal)
  }

  /** Returns the segments nearest to the query. */
  async nearest(
    query: NearestQuery,
    {
      freshness = 'latest',
      signal,
    }: { freshness?: Freshness; signal?: AbortSignal | undefined } = {},
  ): Promise<Neighbours> {
    if (freshness === 'latest') await this.follow(signal)
    return await this.#index.nearest(query, signal)
  }

  /** Rebuilds the index from the full log. The old index serves until the new one is ready. */
  async rebuild(signal?: AbortSignal): Promise<void> {
    const old = this.#index
    while (this.#index === old) await this.#run(() => this.#replaceIndex(), signal)
  }

  /**
   * Compares the index with the catalogue. The caller must prevent writes to both during the check.
   */
  async check(signal?: AbortSignal): Promise<IndexCheck> {
    await this.follow(signal)
    const { embeddings: expected } = await this.catalogue.counts()
    const { sizes: held } = await this.#index.info()
    const missing = await this.#countMissing(signal)
    // If nothing is missing and the numbers are equal, the index has no other embeddings.
    const whole =
      missing === 0 && MODALITIES.every((modality) => held[modality] === expected[modality])
    return { whole, expected, held, missing }
  }

  /** Returns the recall of the index against exact search, from a sample of the embeddings. */
  async recall(signal?: AbortSignal): Promise<Recall> {
    await this.follow(signal)
    return measureRecall(this.catalogue, this.#index, signal)
  }

  /** Closes the index. The catalogue stays open: its opener closes it. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#closing.abort(new AppError('SHUTTING_DOWN', 'The gallery is closing'))
    await this.#running?.catch(() => {})
    await this.#index[Symbol.asyncDispose]()
  }

  async #run(work: () => Promise<void>, signal: AbortSignal | undefined): Promise<void> {
    this.#running ??= work().finally(() => {
      this.#running = undefined
    })
    await waitUnlessAborted(this.#running, signal)
  }

  async #catchUp(): Promise<void> {
    if ((await this.#applyLog(this.#following)) === 'behind') await this.#replaceIndex()
    else await this.#compactLog()
  }

  /**
   * Replaces the index. Keeps the old index if another process compacts the log at the same time.
   */
  async #replaceIndex(): Promise<void> {
    const { index: old } = this.#following
    const fresh = await followFrom(await this.#openIndex('empty'))
    try {
      if ((await this.#applyLog(fresh)) === 'complete') this.#following = fresh
    } finally {
      await (this.#following === fresh ? old : fresh.index)[Symbol.asyncDispose]()
    }
  }

  /**
   * Applies the log to an index. Returns `behind` if the log was compacted past the cursor: the
   * index can then have missed drops.
   */
  async #applyLog(following: FollowingIndex): Promise<'complete' | 'behind'> {
    for (let end: Seq = await this.catalogue.log.head(); following.cursor < end; ) {
      this.#closing.signal.throwIfAborted()
      const { changes, cursor, compactedUpTo } = await this.catalogue.log.read(
        following.cursor,
        PAGE,
      )
      if (following.cursor === 0) following.compactedAtStart = compactedUpTo
      else if (following.cursor < compactedUpTo && compactedUpTo !== following.compactedAtStart)
        return 'behind'
      await following.index.apply(changes, cursor)
      following.cursor = Math.max(following.cursor, cursor)
    }
    return 'complete'
  }

  /**
   * Compacts the log up to the last snapshot. The next start of the index begins at that snapshot.
   */
  async #compactLog(): Promise<void> {
    const { saved } = await this.#index.info()
    if (saved < this.#compacted + COMPACT_AFTER) return
    this.#compacted = saved
    await this.catalogue.log.compact(saved)
  }

  async #countMissing(signal: AbortSignal | undefined): Promise<number> {
    let missing = 0
    for (let after: Seq = 0, end = this.#following.cursor; after < end; ) {
      signal?.throwIfAborted()
      const { changes, cursor } = await this.catalogue.log.read(after, PAGE)
      for (const modality of MODALITIES) {
        const segments = changes.flatMap((each) =>
          each.op === 'put' && each.modality === modality ? [each.segment] : [],
        )
        missing += segments.length - (await this.#index.holding(segments, modality)).size
      }
      after = cursor
    }
    return missing
  }
}

async function followFrom(index: VectorIndex): Promise<FollowingIndex> {
  return { index, cursor: (await index.info()).cursor }
}

/** Rejects if the signal aborts. The work continues for the other callers. */
async function waitUnlessAborted(
  work: Promise<void>,
  signal: AbortSignal | undefined,
): Promise<void> {
  if (!signal) return work
  signal.throwIfAborted()
  let onAbort = () => {}
  const aborted = new Promise<never>((_, reject) => {
    onAbort = () => reject(signal.reason)
  })
  signal.addEventListener('abort', onAbort, { once: true })
  try {
    await Promise.race([work, aborted])
  } finally {
    signal.removeEventListener('abort', onAbort)
  }
}
