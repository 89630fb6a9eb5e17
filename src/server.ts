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

const REFRESH_MS = 1_000 // between checks for a change of model
const RESTART_MS = 30_000 // before the job runner restarts after an error

/** A server that accepts requests. */
export interface RunningServer {
  readonly url: string
  /** Resolves after a SIGINT or SIGTERM, when the server has closed everything. */
  readonly stopped: Promise<void>
}

/**
 * Opens the app and serves it until a SIGINT or SIGTERM, after which it completes open requests.
 * Throws ADDRESS_EXPOSED, ADDRESS_UNAVAILABLE and the errors of `openApp`.
 */
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

/** Builds the HTTP server. Closes the app if this fails. */
async function buildOrClose(app: App, isDraining: () => boolean): Promise<Http> {
  try {
    await app.gallery.follow() // so that the first query need not wait
    return await buildHttp(app, isDraining)
  } catch (error) {
    await app[Symbol.asyncDispose]()
    throw error
  }
}

/**
 * Runs jobs on the current gallery until the signal aborts. Retries after an error such as a full
 * disk.
 */
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
      await sleep(RESTART_MS, undefined, { signal }).catch(() => {}) // an abort ends the loop
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
    const { message } = cause as Error
    const detail = `Cannot listen on ${host}:${port} (${message}): use another host or port.`
    throw new AppError('ADDRESS_UNAVAILABLE', detail, { cause })
  }
}

/**
 * Throws ADDRESS_EXPOSED if other machines can reach the server, unless the configuration allows
 * it. There are no keys yet, so every client can change the library.
 */
function refuseExposed({ http: { host, allowUnauthenticated } }: Config): void {
  if (isLoopback(host)) return
  if (!allowUnauthenticated) {
    const detail =
      `On ${host} other machines can read, change and delete the library without a key. ` +
      'Listen on 127.0.0.1, or allow it with --allow-unauthenticated ' +
      '(EARSHOT_ALLOW_UNAUTHENTICATED=1) if the network or a proxy blocks other clients.'
    throw new AppError('ADDRESS_EXPOSED', detail)
  }
  process.stderr.write(
    `Warning: every client that reaches ${host} can read, change and delete the library.\n`,
  )
}

/** Warns if the configuration allows every host name. */
function warnOfAnyHost({ http: { hosts } }: Config): void {
  if (!hosts.includes('*')) return
  const risk = 'Every web page that the user opens can use the server.'
  process.stderr.write(`Warning: EARSHOT_HOSTS has "*". ${risk}\n`)
}

interface Stop {
  readonly drain: AbortController
  close(): Promise<unknown>
}

/**
 * Resolves when a signal has closed the server. After SIGTERM the server reports unready but serves
 * for `drainSeconds`, so that a load balancer stops sending requests. A second signal, or a request
 * that exceeds `shutdownSeconds`, ends the process at once.
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
