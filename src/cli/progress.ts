import cliProgress from 'cli-progress'
import type { IngestProgress } from '../ingest/runner/ingest-paths.js'

import { printable } from './printable.js'

export interface Progress extends Disposable {
  update(step: IngestProgress): void
}

/** A bar with rate and ETA on a terminal, a line for each file otherwise. */
export function progressTo(stream: NodeJS.WriteStream): Progress {
  return stream.isTTY ? bar(stream) : lines(stream)
}

function bar(stream: NodeJS.WriteStream): Progress {
  const format =
    '{bar} {value}/{total} clips  {rate} clips/s  {realtime} x realtime, {stage}  ETA {left}  {name}'
  const shown = new cliProgress.SingleBar({
    stream,
    format,
    hideCursor: true,
    clearOnComplete: true,
  })
  let begun = false
  return {
    update({ files, done, path, figures: { clipsPerSecond, realtime, bottleneck, etaSeconds } }) {
      const figures = {
        rate: clipsPerSecond.toFixed(1),
        realtime: realtime.toFixed(0),
        stage: bottleneck === null ? 'nothing to wait for' : `waits to ${bottleneck}`,
        left: etaSeconds === null ? 'when it is scanned' : duration(etaSeconds),
        name: printable(path).slice(-40),
      }
      if (!begun) shown.start(files, done, figures)
      begun = true
      shown.setTotal(files) // the scan may still find more
      shown.update(done, figures)
    },
    [Symbol.dispose]: () => shown.stop(),
  }
}

function lines(stream: NodeJS.WriteStream): Progress {
  return {
    update({ files, done, path, outcome }) {
      stream.write(
        `${done}/${files} ${typeof outcome === 'string' ? outcome : outcome.code} ${printable(path)}\n`,
      )
    },
    [Symbol.dispose]: () => {},
  }
}

/** Seconds as 2 h 5 min, 12 min or 40 s. */
export function duration(seconds: number): string {
  const minutes = Math.round(seconds / 60)
  if (minutes < 1) return `${Math.round(seconds)} s`
  return minutes < 60 ? `${minutes} min` : `${Math.floor(minutes / 60)} h ${minutes % 60} min`
}
