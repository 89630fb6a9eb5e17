import type { Socket } from 'node:net'
import type { FastifyInstance } from 'fastify'

const GRACE_MS = 1_000 // in which a request that is on its way still gets an answer

/**
 * Closes connections that never sent a request when the server stops. Browsers open them in
 * advance. node closes the connections that wait after an answer, but would wait for these for a
 * minute.
 */
export function closeUnusedConnections(http: FastifyInstance): void {
  const unused = new Set<Socket>()
  http.server.on('connection', (socket) => {
    unused.add(socket)
    socket.once('close', () => unused.delete(socket))
  })
  http.addHook('onRequest', async ({ raw }) => void unused.delete(raw.socket))
  http.addHook('preClose', async () => {
    setTimeout(() => {
      for (const socket of unused) socket.destroy()
    }, GRACE_MS)
  })
}
