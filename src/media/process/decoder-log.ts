import type { StagedFile } from '../staging/staged-file.js'

const ERRORS_KEPT = 4

/**
 * Said by good files too: open groups of pictures, odd clocks, a change of channels. The last is ffmpeg's muxer,
 * speaking of raw samples that have no clock at all.
 */
const HARMLESS =
  /co located POCs unavailable|mmco: unref short|Could not find ref with POC|Last message repeated|deprecated pixel|non monotonically increasing dts|Non-monotonic DTS|^\s*$/i

const TOO_LARGE = /Cannot allocate memory|Picture size \S+ is invalid/

/** What ffmpeg says on stderr while it decodes one track. */
export class DecoderLog {
  readonly lastErrors: string[] = [] // the last complaints, fit to be shown
  errorCount = 0
  positionSeconds: number | null = null // seconds into the output where the decoder was last seen
  firstPositionSeconds: number | null = null // where it was first seen
  readonly started: Promise<void> // resolves with the first beat
  failed = false // ffmpeg ended by itself, with an error
  isTooLarge = false // for the memory that ffmpeg may have, or for ffmpeg itself
  isCut = false // frames are missing of which ffmpeg was not told

  #begin: () => void = () => {}

  constructor(private readonly source: StagedFile) {
    this.started = new Promise((resolve) => {
      this.#begin = resolve
    })
  }

  get hasErrors(): boolean {
    return this.failed || this.errorCount > 0
  }

  onLine(line: string): void {
    const beat = /^(?:\[[^\]]*\] )?(-?\d+\.\d+|nan)$/.exec(line)?.[1]
    if (beat !== undefined) this.#takeBeat(Number(beat) || 0)
    else if (!HARMLESS.test(line)) this.addError(line)
  }

  #takeBeat(seconds: number): void {
    this.firstPositionSeconds ??= seconds
    this.positionSeconds = Math.max(this.positionSeconds ?? 0, seconds)
    this.#begin()
  }

  /** Takes over what was heard of the same track elsewhere. */
  merge({ lastErrors, errorCount, positionSeconds, failed, isTooLarge }: DecoderLog): void {
    this.lastErrors.splice(0, Infinity, ...this.lastErrors, ...lastErrors)
    this.errorCount += errorCount
    if (positionSeconds !== null) this.#takeBeat(positionSeconds)
    this.failed = failed
    this.isTooLarge = isTooLarge
  }

  /** Counts a line that tells of damage. */
  addError(line: string): void {
    this.errorCount++
    this.isTooLarge ||= TOO_LARGE.test(line)
    this.lastErrors.push(readable(line, this.source))
    if (this.lastErrors.length > ERRORS_KEPT) this.lastErrors.shift()
  }
}

/** A line of ffmpeg without addresses in memory and without our temporary names. */
export function readable(line: string, { url, name }: StagedFile): string {
  return line
    .replaceAll(url, name)
    .replaceAll(url.replace(/^(file:|subfile,.*,:)/, ''), name)
    .replace(/ @ 0x[0-9a-f]+/g, '')
    .trim()
    .slice(0, 300)
}
