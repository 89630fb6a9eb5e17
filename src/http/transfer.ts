import type { FastifyRequest } from 'fastify'
import { AppError } from '../errors.js'
import { HTTP_LIMITS } from './limits.js'

/** Monitors an upload until it is disposed of. */
export interface Transfer extends Disposable {
  /** Aborts if the client disconnects, sends too slowly, or sends a form that cannot be parsed. */
  readonly signal: AbortSignal
}

interface TransferLimits {
  readonly tickMs: number
  readonly ticks: number // length of the window in which the rate is measured
  readonly bytesPerSecond: number
}

const UPLOAD_LIMITS: TransferLimits = {
  tickMs: HTTP_LIMITS.uploadWindowMs / 6,
  ticks: 6,
  bytesPerSecond: HTTP_LIMITS.uploadBytesPerSecond,
}

/**
 * Monitors the body of a request. The signal aborts with UPLOAD_TOO_SLOW if the rate is below the
 * minimum. It aborts with REQUEST_INVALID if the form parser stops reading.
 */
export function watchTransfer(
  { raw }: Pick<FastifyRequest, 'raw'>,
  left: AbortSignal,
  limits = UPLOAD_LIMITS,
): Transfer {
  const refused = new AbortController()
  const { tickMs, ticks, bytesPerSecond } = limits
  const least = (bytesPerSecond * tickMs * ticks) / 1000
  const arrived: number[] = [] // bytes of each tick, newest first
  let before = raw.socket.bytesRead
  const check = () => {
    arrived.unshift(raw.socket.bytesRead - before)
    before = raw.socket.bytesRead
    arrived.length = Math.min(arrived.length, ticks)
    const isIdle = arrived.length > 1 && arrived[0] === 0 && arrived[1] === 0
    if (isIdle && (raw.complete || raw.readableLength > 0)) refused.abort(unread())
    const isSlow = arrived.length === ticks && sum(arrived) < least
    if (isSlow && !raw.complete) refused.abort(tooSlow(limits))
  }
  const timer = setInterval(check, tickMs)
  return {
    signal: AbortSignal.any([left, refused.signal]),
    [Symbol.dispose]() {
      clearInterval(timer)
    },
  }
}

const sum = (numbers: readonly number[]): number => numbers.reduce((sum, number) => sum + number, 0)

function tooSlow({ bytesPerSecond }: TransferLimits): AppError {
  const detail = `An upload must send at least ${bytesPerSecond} bytes per second.`
  return new AppError('UPLOAD_TOO_SLOW', detail)
}

function unread(): AppError {
  const detail = 'A part of the form has no usable Content-Disposition: name the file part "file".'
  return new AppError('REQUEST_INVALID', detail)
}
