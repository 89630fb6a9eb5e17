import assert from 'node:assert/strict'
import { once } from 'node:events'
import { createServer } from 'node:http'
import { type AddressInfo, connect } from 'node:net'
import { it } from 'node:test'
import type { FastifyRequest } from 'fastify'
import { watchTransfer } from '../../src/http/transfer.js'

const LIMITS = { tickMs: 20, ticks: 5, bytesPerSecond: 10_000 }

/** Returns the reason for the refusal of a body that arrives in pieces. */
async function reasonFor(
  pieces: readonly number[],
  everyMs: number,
  reads: boolean,
): Promise<unknown> {
  const server = createServer()
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const socket = connect((server.address() as AddressInfo).port, '127.0.0.1')
  const length = 1_000_000
  socket.write(`POST / HTTP/1.1\r\nHost: x\r\nContent-Length: ${length}\r\n\r\n`)
  const [raw] = await once(server, 'request')
  if (reads) raw.resume()
  using transfer = watchTransfer(
    { raw } as Pick<FastifyRequest, 'raw'>,
    new AbortController().signal,
    LIMITS,
  )
  const left = [...pieces]
  const sending = setInterval(() => {
    const next = left.shift()
    if (next !== undefined) socket.write(Buffer.alloc(next))
  }, everyMs)
  const ended = new Promise((resolve) => setTimeout(resolve, 600, null))
  const aborted = once(transfer.signal, 'abort').then(() => transfer.signal.reason)
  const reason = await Promise.race([aborted, ended])
  clearInterval(sending)
  socket.destroy()
  server.close()
  return reason
}

it('refuses a body that arrives too slowly, and no other', async () => {
  const slow = (await reasonFor(Array(200).fill(10), 10, true)) as { code: string }
  const fast = await reasonFor(Array(200).fill(1000), 10, true)

  assert.deepEqual([slow.code, fast], ['UPLOAD_TOO_SLOW', null])
})

it('refuses a form that is there and that the parser does not read', async () => {
  const unread = (await reasonFor([500_000], 1, false)) as { code: string }

  assert.equal(unread.code, 'REQUEST_INVALID')
})
