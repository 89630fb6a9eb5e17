import cliProgress from 'cli-progress'
import type { IngestProgress } from '../ingest/ingest-paths.js'

export interface Progress extends Disposable {
  update(step: IngestProgress): void
}

/** A bar with rate and ETA on a terminal, a line for each file otherwise. */
export function progressTo(stream: NodeJS.WriteStream): Progress {
  return stream.isTTY ? bar(stream) : lines(stream)
}

function bar(stream: NodeJS.WriteStream): Progress {
  const format = '{bar} {value}/{total} clips  {rate}/s  ETA {eta_formatted}  {name}'
  const shown = new cliProgress.SingleBar({ stream, format, hideCursor: true, clearOnComplete: true, etaBuffer: 50 })
  const started = performance.now()
  let begun = false
  return {
    update({ files, done, path }) {
      if (!begun) shown.start(files, 0)
      begun = true
      const rate = ((done * 1000) / (performance.now() - started)).toFixed(1)
      shown.update(done, { rate, name: path.slice(-40) })
    },
    [Symbol.dispose]: () => shown.stop(),
  }
}

function lines(stream: NodeJS.WriteStream): Progress {
  return {
    update({ files, done, path, outcome }) {
      stream.write(`${done}/${files} ${typeof outcome === 'string' ? outcome : outcome.code} ${path}\n`)
    },
    [Symbol.dispose]: () => {},
  }
}
