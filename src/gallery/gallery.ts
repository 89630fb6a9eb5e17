import type { Seq } from '../domain/ids.js'
import { MODALITIES, type Modality } from '../domain/modality.js'
import { AppError } from '../errors.js'
import type { Catalogue } from './catalogue/catalogue.js'
import { measureRecall, type Recall } from './vector/recall.js'
import type { NearestQuery, Neighbours, VectorIndex } from './vector/vector-index.js'

const PAGE = 512 // changes read at a time
const COMPACT_AFTER = 10_000 // changes

export interface GalleryDeps {
  readonly catalogue: Catalogue
  readonly openIndex: (from: 'snapshot' | 'empty') => Promise<VectorIndex>
}

/** The outcome of comparing the index with the catalogue, embedding by embedding. */
export interface IndexCheck {
  readonly whole: boolean
  readonly expected: Readonly<Record<Modality, number>>
  readonly held: Readonly<Record<Modality, number>>
  readonly missing: number
}

/** An index and how far it has followed the log. */
interface FollowingIndex {
  readonly index: VectorIndex
  cursor: Seq
  compactedAtStart?: Seq // how far the log was compacted when its first row was read
}

/**
 * `latest`: the answer has all that was committed before the question. `bounded`: it has what the index
 * has applied by now, and does not wait for more.
 */
export type Freshness = 'latest' | 'bounded'

/** All that a query is matched against: the catalogue, and an index that follows its log. */
export class Gallery implements AsyncDisposable {
  readonly catalogue: Catalogue
  readonly #openIndex: GalleryDeps['openIndex']
  readonly #closing = new AbortController()
  #following: FollowingIndex
  #compacted: Seq = 0 // how far this gallery has had the log compacted
  #running: Promise<void> | undefined

  static async open({ catalogue, openIndex }: GalleryDeps): Promise<Gallery> {
    return new Gallery({ catalogue, openIndex }, await following(await openIndex('snapshot')))
  }

  private constructor({ catalogue, openIndex }: GalleryDeps, index: FollowingIndex) {
    this.catalogue = catalogue
    this.#openIndex = openIndex
    this.#following = index
  }

  get #index(): VectorIndex {
    return this.#following.index
  }

  /** Resolves once the index has applied all that was committed before the call. Callers share one run. */
  async follow(signal?: AbortSignal): Promise<void> {
    const head = await this.catalogue.log.head()
    if (this.#following.cursor > head) return this.rebuild(signal) // an older copy was restored
    while (this.#following.cursor < head) await this.#run(() => this.#catchUp(), signal)
  }

  /** Answers with the nearest segments of the library. */
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

  /** Builds the index anew from the whole log; the old one answers until then. */
  async rebuild(signal?: AbortSignal): Promise<void> {
    const old = this.#index
    while (this.#index === old) await this.#run(() => this.#replaceIndex(), signal)
  }

  /** Compares the index with the catalogue, neither of which may be written to meanwhile. */
  async check(signal?: AbortSignal): Promise<IndexCheck> {
    await this.follow(signal)
    const { embeddings: expected } = await this.catalogue.counts()
    const { sizes: held } = await this.#index.info()
    const missing = await this.#countMissing(signal)
    // All that is expected is held and the numbers are equal: then nothing else is held.
    const whole =
      missing === 0 && MODALITIES.every((modality) => held[modality] === expected[modality])
    return { whole, expected, held, missing }
  }

  /** How much of what exact search finds the index finds, by a sample of the library's own embeddings. */
  async recall(signal?: AbortSignal): Promise<Recall> {
    await this.follow(signal)
    return measureRecall(this.catalogue, this.#index, signal)
  }

  /** Closes the index; the catalogue is its opener's to close. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#closing.abort(new AppError('SHUTTING_DOWN', 'The gallery is being closed'))
    await this.#running?.catch(() => {})
    await this.#index[Symbol.asyncDispose]()
  }

  async #run(work: () => Promise<void>, signal: AbortSignal | undefined): Promise<void> {
    this.#running ??= work().finally(() => {
      this.#running = undefined
    })
    await unlessAborted(this.#running, signal)
  }

  async #catchUp(): Promise<void> {
    if ((await this.#applyLog(this.#following)) === 'behind') await this.#replaceIndex()
    else await this.#compactLog()
  }

  /** Leaves the old index in its place where another process compacts the log at the same time. */
  async #replaceIndex(): Promise<void> {
    const { index: old } = this.#following
    const fresh = await following(await this.#openIndex('empty'))
    try {
      if ((await this.#applyLog(fresh)) === 'whole') this.#following = fresh
    } finally {
      await (this.#following === fresh ? old : fresh.index)[Symbol.asyncDispose]()
    }
  }

  /** `behind`: the log was compacted past the cursor since the index began, so that it may have missed drops. */
  async #applyLog(following: FollowingIndex): Promise<'whole' | 'behind'> {
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
    return 'whole'
  }

  /** Lets the log forget what was undone, as far as the index is on disk: its next start begins there. */
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

async function following(index: VectorIndex): Promise<FollowingIndex> {
  return { index, cursor: (await index.info()).cursor }
}

/** The caller stops waiting when its signal says so; the work goes on for the others. */
async function unlessAborted(work: Promise<void>, signal: AbortSignal | undefined): Promise<void> {
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
