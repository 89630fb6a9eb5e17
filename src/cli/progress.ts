import cliProgress from 'cli-progress'
import type { IngestProgress } from '../ingest/runner/ingest-paths.js'
import { duration } from './duration.js'
import { printable } from './printable.js'

/** Shows the progress of ingestion until it is disposed of. */
export interface Progress extends Disposable {
  update(step: IngestProgress): void
}

/** Returns a bar for a terminal, and one line for each file for any other stream. */
export function progressTo(stream: NodeJS.WriteStream): Progress {
  return stream.isTTY ? bar(stream) : lines(stream)
}

const FORMAT =
  '{bar} {value}/{total} clips  {rate} clips/s  {realtime} x realtime, {stage}  ETA {left}  {name}'
const NAME_WIDTH = 40

function bar(stream: NodeJS.WriteStream): Progress {
  const options = { stream, format: FORMAT, hideCursor: true, clearOnComplete: true }
  const shown = new cliProgress.SingleBar(options)
  return {
    update(step) {
      const { files, done } = step
      if (!shown.isActive) shown.start(files, done, fields(step))
      shown.setTotal(files) // the scan may still find more
      shown.update(done, fields(step))
    },
    [Symbol.dispose]: () => shown.stop(),
  }
}

function fields({ path, figures }: IngestProgress): Record<string, string> {
  const { clipsPerSecond, realtime, bottleneck, etaSeconds } = figures
  return {
    rate: clipsPerSecond.toFixed(1),
    realtime: realtime.toFixed(0),
    stage: bottleneck === null ? 'no bottleneck' : `bottleneck: ${bottleneck}`,
    left: etaSeconds === null ? 'when it is scanned' : duration(etaSeconds),
    name: printable(path).slice(-NAME_WIDTH),
  }
}

function lines(stream: NodeJS.WriteStream): Progress {
  return {
    update({ files, done, path, outcome }) {
      const state = typeof outcome === 'string' ? outcome : outcome.code
      stream.write(`${done}/${files} ${state} ${printable(path)}\n`)
    },
    [Symbol.dispose]: () => {},
  }
}
