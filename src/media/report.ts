import type { Source } from './source.js'

const WORDS_KEPT = 4

/**
 * Said by good files too: open groups of pictures, odd clocks, a change of channels. The last is ffmpeg's muxer,
 * speaking of raw samples that have no clock at all.
 */
const HARMLESS =
  /co located POCs unavailable|mmco: unref short|Could not find ref with POC|Last message repeated|deprecated pixel|non monotonically increasing dts|Non-monotonic DTS|^\s*$/i

const TOO_LARGE = /Cannot allocate memory|Picture size \S+ is invalid/

/** What ffmpeg says on stderr while it decodes one track. */
export class Report {
  readonly words: string[] = [] // the last complaints, fit to be shown
  complaints = 0
  beat: number | null = null // seconds into the output where the decoder was last seen
  firstBeat: number | null = null // where it was first seen
  readonly begun: Promise<void> // resolves with the first beat
  failed = false // ffmpeg ended by itself, with an error
  isTooLarge = false // for the memory that ffmpeg may have, or for ffmpeg itself
  isCut = false // frames are missing of which ffmpeg was not told

  #begin: () => void = () => {}

  constructor(private readonly source: Source) {
    this.begun = new Promise((resolve) => {
      this.#begin = resolve
    })
  }

  get saysTrouble(): boolean {
    return this.failed || this.complaints > 0
  }

  hear(line: string): void {
    const beat = /^(?:\[[^\]]*\] )?(-?\d+\.\d+|nan)$/.exec(line)?.[1]
    if (beat !== undefined) this.#takeBeat(Number(beat) || 0)
    else if (!HARMLESS.test(line)) this.complain(line)
  }

  #takeBeat(seconds: number): void {
    this.firstBeat ??= seconds
    this.beat = Math.max(this.beat ?? 0, seconds)
    this.#begin()
  }

  /** Takes over what was heard of the same track elsewhere. */
  adopt({ words, complaints, beat, failed, isTooLarge }: Report): void {
    this.words.splice(0, Infinity, ...this.words, ...words)
    this.complaints += complaints
    if (beat !== null) this.#takeBeat(beat)
    this.failed = failed
    this.isTooLarge = isTooLarge
  }

  /** Counts a line that tells of damage. */
  complain(line: string): void {
    this.complaints++
    this.isTooLarge ||= TOO_LARGE.test(line)
    this.words.push(readable(line, this.source))
    if (this.words.length > WORDS_KEPT) this.words.shift()
  }
}

/** A line of ffmpeg without addresses in memory and without our temporary names. */
export function readable(line: string, { url, name }: Source): string {
  return line
    .replaceAll(url, name)
    .replaceAll(url.replace(/^(file:|subfile,.*,:)/, ''), name)
    .replace(/ @ 0x[0-9a-f]+/g, '')
    .trim()
    .slice(0, 300)
}
