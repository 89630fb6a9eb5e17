import type { App } from '../../../app.js'
import type { EndedItem } from '../../../ingest/runner/job-runner.js'
import { watchAndIngest } from '../../../ingest/watch/watch-and-ingest.js'
import type { JobRequest } from '../../../jobs/jobs.js'
import { EXIT, type ExitCode } from '../../exit-codes.js'
import type { Invocation } from '../../invocation.js'
import { printable } from '../../printable.js'
import type { IndexOptions } from './options.js'

type Context = Pick<Invocation<IndexOptions>, 'options' | 'config' | 'output' | 'signal'>

/** Watches the sources of a request and indexes changed files until the signal aborts. */
export async function keepIndexed(
  request: JobRequest,
  { encoder, gallery, decoders }: App,
  concurrency: number,
  { options, config, output, signal }: Context,
): Promise<ExitCode> {
  output.message(`Watching ${printable(request.sources.join(', '))}. Press Ctrl-C to stop.`)
  const deps = { encoder, gallery, decoders, signal }
  await watchAndIngest(request, deps, {
    ...watchTimes(options),
    concurrency,
    except: [config.library.dataDir],
    onWarning: (detail) => output.message(printable(detail)),
    onItem: async (item) => output.message(formatItem(item)),
  })
  return EXIT.ok
}

const watchTimes = ({ settle, rescan, poll }: IndexOptions) => ({
  settleMs: 1000 * settle,
  rescanMs: 60_000 * rescan,
  pollMs: poll === undefined ? null : 1000 * poll,
})

const formatItem = ({ path, result }: EndedItem): string =>
  `${typeof result === 'string' ? result : result.code} ${printable(path)}`
