import { STATUS_CODES } from 'node:http'
import type { Socket } from 'node:net'
import { AppError } from '../errors.js'
import { toProblem } from './problems.js'

interface ClientError extends Error {
  readonly code?: string
}

/** The status of each error of the HTTP parser that has a status other than 400. */
const STATUSES: Readonly<Record<string, number>> = {
  HPE_HEADER_OVERFLOW: 431,
  ERR_HTTP_REQUEST_TIMEOUT: 408,
  HPE_CHUNK_EXTENSIONS_OVERFLOW: 413,
}

/** Sends a problem if the HTTP parser rejects a request, which then never reaches a route. */
export function answerClientError({ code = '', message }: ClientError, socket: Socket): void {
  if (code === 'ECONNRESET' || !socket.writable) {
    socket.destroy()
    return
  }
  const status = STATUSES[code] ?? 400
  const detail = `The request is not well formed: ${message.slice(0, 200)}`
  const problem = { ...toProblem(new AppError('REQUEST_INVALID', detail)), status }
  const body = JSON.stringify(problem)
  const lines = [
    `HTTP/1.1 ${status} ${STATUS_CODES[status]}`,
    'content-type: application/problem+json',
    `content-length: ${Buffer.byteLength(body)}`,
    'connection: close',
  ]
  socket.end(`${lines.join('\r\n')}\r\n\r\n${body}`)
}
