import type { AddressInfo } from 'node:net'
import { openApp } from './app.js'
import { type Config, LIMITS } from './config.js'
import { AppError } from './errors.js'
import { buildHttp } from './http/http.js'

export interface RunningServer {
  readonly url: string
  /** Ends once the server has been told to stop (SIGINT, SIGTERM) and has closed everything. */
  readonly stopped: Promise<void>
}

/** Opens the app and serves it until the process is told to stop. Requests under way are answered first. */
export async function serve(config: Config): Promise<RunningServer> {
  const app = await openApp(config)
  await app.gallery.follow() // else the first query would wait for it
  const http = await buildHttp(app)
  http.addHook('onClose', () => app[Symbol.asyncDispose]())
  await listen(http, config)
  const { address, family, port } = http.server.address() as AddressInfo
  const host = family === 'IPv6' ? `[${address}]` : address
  return { url: `http://${host}:${port}`, stopped: untilStopped(() => http.close()) }
}

type Http = Awaited<ReturnType<typeof buildHttp>>

async function listen(http: Http, { host, port }: Config): Promise<void> {
  try {
    await http.listen({ host, port })
  } catch (cause) {
    await http.close()
    const detail = `${host}:${port} cannot be listened on (${(cause as Error).message}): say another host or port.`
    throw new AppError('ADDRESS_UNAVAILABLE', detail, { cause })
  }
}

/** A second signal, or a request that does not end in time, ends the process at once. */
function untilStopped(close: () => Promise<unknown>): Promise<void> {
  return new Promise((resolve, reject) => {
    const stop = () => {
      const giveUp = () => process.exit(1)
      setTimeout(giveUp, LIMITS.shutdownMs).unref()
      for (const signal of SIGNALS) process.removeListener(signal, stop).once(signal, giveUp)
      close().then(() => resolve(), reject)
    }
    for (const signal of SIGNALS) process.once(signal, stop)
  })
}

const SIGNALS = ['SIGINT', 'SIGTERM'] as const
