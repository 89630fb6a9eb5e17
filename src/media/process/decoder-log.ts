import type { StagedFile } from '../staging/staged-file.js'

const MAX_LAST_ERRORS = 4
const MAX_LINE_LENGTH = 300

/**
 * Messages that ffmpeg also prints for good files: open groups of pictures, clocks that step back,
 * a change of channels. The muxer of raw samples prints the last one, although they have no
 * timestamps.
 */
const HARMLESS = new RegExp(
  [
    'co located POCs unavailable',
    'mmco: unref short',
    'Could not find ref with POC',
    'Last message repeated',
    'deprecated pixel',
    'non monotonically increasing dts',
    'Non-monotonic DTS',
    '^\\s*$',
  ].join('|'),
  'i',
)

const TOO_LARGE = /Cannot allocate memory|Picture size \S+ is invalid/

/** Collects what ffmpeg prints on stderr while it decodes one stream. */
export class DecoderLog {
  readonly lastErrors: string[] = [] // for messages, without temporary paths
  errorCount = 0
  positionSeconds: number | null = null // latest position printed, in seconds of the output
  firstPositionSeconds: number | null = null
  readonly started: Promise<void> // resolves at the first position
  failed = false // ffmpeg exited with an error by itself
  isTooLarge = false // the file needs more memory than ffmpeg may allocate
  isTruncated = false // frames are missing that were never passed to ffmpeg

  #onStart: () => void = () => {}

  constructor(private readonly source: StagedFile) {
    this.started = new Promise((resolve) => {
      this.#onStart = resolve
    })
  }

  get hasErrors(): boolean {
    return this.failed || this.errorCount > 0
  }

  /** Records one line of stderr: a position, an error or a harmless message. */
  onLine(line: string): void {
    const position = /^(?:\[[^\]]*\] )?(-?\d+\.\d+|nan)$/.exec(line)?.[1]
    if (position !== undefined) this.#addPosition(Number(position) || 0)
    else if (!HARMLESS.test(line)) this.addError(line)
  }

  /** Adds the errors and the position of another log of the same stream. */
  merge({ lastErrors, errorCount, positionSeconds, failed, isTooLarge }: DecoderLog): void {
    this.lastErrors.splice(0, Infinity, ...this.lastErrors, ...lastErrors)
    this.errorCount += errorCount
    if (positionSeconds !== null) this.#addPosition(positionSeconds)
    this.failed = failed
    this.isTooLarge = isTooLarge
  }

  /** Counts an error and keeps it among the last ones. */
  addError(line: string): void {
    this.errorCount++
    this.isTooLarge ||= TOO_LARGE.test(line)
    this.lastErrors.push(sanitizeLine(line, this.source))
    if (this.lastErrors.length > MAX_LAST_ERRORS) this.lastErrors.shift()
  }

  #addPosition(seconds: number): void {
    this.firstPositionSeconds ??= seconds
    this.positionSeconds = Math.max(this.positionSeconds ?? 0, seconds)
    this.#onStart()
  }
}

/**
 * Returns a line of ffmpeg without memory addresses, with the file's name for its temporary path.
 */
export function sanitizeLine(line: string, { url, name }: StagedFile): string {
  return line
    .replaceAll(url, name)
    .replaceAll(url.replace(/^(file:|subfile,.*,:)/, ''), name)
    .replace(/ @ 0x[0-9a-f]+/g, '')
    .trim()
    .slice(0, MAX_LINE_LENGTH)
}
