import { setMaxListeners } from 'node:events'
import type { AddressInfo } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import { type App, openApp } from './app.js'
import { isLoopback } from './authority.js'
import type { Config } from './config.js'
import { AppError } from './errors.js'
import { buildHttp } from './http/http.js'
import type { IngestDeps } from './ingest/ingest-file.js'
import { FILES_PER_THREAD } from './ingest/runner/ingest-paths.js'
import { JobRunner } from './ingest/runner/job-runner.js'
import { jobRequest } from './ingest/scan/job-request.js'
import { RESCAN_MINUTES, SETTLE_SECONDS } from './ingest/watch/watch.js'
import { watchAndIngest } from './ingest/watch/watch-and-ingest.js'

const REFRESH_MS = 1_000 // until a change of model is noticed
const RESTART_MS = 30_000 // of the jobs, after what stopped them all

export interface RunningServer {
  readonly url: string
  /** Ends once the server has been told to stop (SIGINT, SIGTERM) and has closed everything. */
  readonly stopped: Promise<void>
}

/** Opens the app and serves it until the process is told to stop. Requests under way are answered first. */
export async function serve(config: Config): Promise<RunningServer> {
  refuseExposed(config)
  warnOfAnyHost(config)
  const app = await openApp(config)
  const drain = new AbortController()
  const http = await buildOrClose(app, () => drain.signal.aborted)
  const refreshing = setInterval(
    () => app.refresh().catch((error) => http.log.error(error)),
    REFRESH_MS,
  )
  const stop = new AbortController()
  setMaxListeners(0, stop.signal)
  http.addHook('preClose', async () => stop.abort())
  const running = runJobs(app, http.log, stop.signal)
  http.addHook('onClose', async () => {
    clearInterval(refreshing)
    await running
    await app[Symbol.asyncDispose]()
  })
  await listen(http, config)
  const { address, family, port } = http.server.address() as AddressInfo
  const host = family === 'IPv6' ? `[${address}]` : address
  return {
    url: `http://${host}:${port}`,
    stopped: untilStopped({ drain, close: () => http.close() }, config),
  }
}

/** Closes the app if it cannot be served. */
async function buildOrClose(app: App, isDraining: () => boolean): Promise<Http> {
  try {
    await app.gallery.follow() // else the first query would wait for it
    return await buildHttp(app, isDraining)
  } catch (error) {
    await app[Symbol.asyncDispose]()
    throw error
  }
}

/** Runs jobs beside the requests, on what serves at the time. What stops all of them, a full disk say, may pass. */
async function runJobs(app: App, log: Http['log'], signal: AbortSignal): Promise<void> {
  while (!signal.aborted) {
    try {
      await app.run((deps, replaced) => {
        const until = AbortSignal.any([signal, replaced])
        setMaxListeners(0, until)
        return runOrKeep({ ...deps, signal: until }, app.config, log)
      })
    } catch (error) {
      log.error(error)
      await sleep(RESTART_MS, undefined, { signal }).catch(() => {}) // aborted: the loop ends
    }
  }
}

function runOrKeep(
  deps: IngestDeps,
  { encoder: { threads }, library: { dataDir }, ingest: { watch } }: Config,
  log: Http['log'],
): Promise<void> {
  const options = { concurrency: threads * FILES_PER_THREAD, except: [dataDir] }
  if (watch.length === 0) return new JobRunner(deps, options).run()
  return watchAndIngest(jobRequest(watch, { within: watch }), deps, {
    ...options,
    settleMs: SETTLE_SECONDS * 1000,
    rescanMs: RESCAN_MINUTES * 60_000,
    pollMs: null,
    onWarning: (detail) => log.warn(detail),
  })
}

type Http = Awaited<ReturnType<typeof buildHttp>>

async function listen(server: Http, { http: { host, port } }: Config): Promise<void> {
  try {
    await server.listen({ host, port })
  } catch (cause) {
    await server.close()
    const detail = `${host}:${port} cannot be listened on (${(cause as Error).message}): say another host or port.`
    throw new AppError('ADDRESS_UNAVAILABLE', detail, { cause })
  }
}

/** There are no keys yet, so that whoever reaches the server may do everything with the library. */
function refuseExposed({ http: { host, allowUnauthenticated } }: Config): void {
  if (isLoopback(host)) return
  if (!allowUnauthenticated) {
    const detail =
      `On ${host} other machines can read, change and delete the library without a key. Listen on 127.0.0.1, ` +
      'or allow it by --allow-unauthenticated (EARSHOT_ALLOW_UNAUTHENTICATED=1) if the network or a proxy keeps others out.'
    throw new AppError('ADDRESS_EXPOSED', detail)
  }
  process.stderr.write(
    `Warning: whoever reaches ${host} can read, change and delete the library.\n`,
  )
}

function warnOfAnyHost({ http: { hosts } }: Config): void {
  if (!hosts.includes('*')) return
  const risk = 'every web page that the user opens can use the server'
  process.stderr.write(`Warning: EARSHOT_HOSTS has "*", so that ${risk}.\n`)
}

interface Stop {
  readonly drain: AbortController
  close(): Promise<unknown>
}

/**
 * After SIGTERM the server is unready and goes on for `drainSeconds`, so that a load balancer sends no
 * more requests. Then it closes. A second signal, or a request that does not end within
 * `shutdownSeconds`, ends the process at once.
 */
function untilStopped(
  { drain, close }: Stop,
  { http: { drainSeconds, shutdownSeconds } }: Config,
): Promise<void> {
  return new Promise((resolve, reject) => {
    const giveUp = () => process.exit(1)
    const stop = async (signal: NodeJS.Signals) => {
      for (const each of SIGNALS) process.removeListener(each, stop).once(each, giveUp)
      drain.abort()
      if (signal === 'SIGTERM') await sleep(1000 * drainSeconds)
      setTimeout(giveUp, 1000 * shutdownSeconds).unref()
      close().then(() => resolve(), reject)
    }
    for (const signal of SIGNALS) process.once(signal, stop)
  })
}

const SIGNALS = ['SIGINT', 'SIGTERM'] as const
