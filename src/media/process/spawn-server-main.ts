/**
 * The main module of the spawn server, which starts programs for `SpawnServer`. Exits with its
 * parent and kills the programs that still run.
 */
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { createServer, type Socket } from 'node:net'
import { killGroup } from './process-group.js'
import { abstractSocket, type SpawnReply, type SpawnRequest } from './spawn-server.js'

const OUTPUTS = 3
const [, , name = ''] = process.argv
/** The connected outputs of programs that have not started, by request id and descriptor. */
const connected = new Map<string, Map<number, Socket>>()
const requests = new Map<string, SpawnRequest>()
const running = new Set<ChildProcess>()

createServer((socket) => void accept(socket)).listen(abstractSocket(name), () =>
  send({ listening: true }),
)
process.on('message', (request: SpawnRequest) => {
  requests.set(request.id, request)
  startIfReady(request.id)
})
process.on('disconnect', exit)
if (!process.connected) exit() // the parent exited before 'disconnect' was observed

function exit(): never {
  for (const { pid } of running) if (pid !== undefined) killGroup(pid)
  process.exit()
}

/** Reads the one line of a connection: the request id and the descriptor of its output. */
async function accept(socket: Socket): Promise<void> {
  socket.on('error', () => {})
  const [line] = await once(socket, 'data')
  socket.pause()
  const [id = '', fd] = String(line).trim().split(' ')
  const outputs = connected.get(id) ?? new Map<number, Socket>()
  connected.set(id, outputs.set(Number(fd), socket))
  socket.once('close', () => connected.delete(id))
  startIfReady(id)
}

/** Starts a program once the request and all of its outputs have arrived. */
function startIfReady(id: string): void {
  const [request, outputs] = [requests.get(id), connected.get(id)]
  if (!request || outputs?.size !== OUTPUTS) return
  requests.delete(id)
  const sockets = [...outputs.values()]
  try {
    const child = start(request, outputs)
    child.once('error', (error) => fail(id, error, sockets))
    if (child.pid === undefined) return
    running.add(child)
    send({ id, pid: child.pid })
    child.once('exit', (code, signal) => {
      running.delete(child)
      send({ id, code, signal })
    })
    for (const socket of sockets) socket.destroy() // the program has its own copies
  } catch (error) {
    fail(id, error, sockets)
  }
}

function start(
  { program, args }: SpawnRequest,
  outputs: ReadonlyMap<number, Socket>,
): ChildProcess {
  const [stdout, stderr, third] = [outputs.get(1), outputs.get(2), outputs.get(3)] as [
    Socket,
    Socket,
    Socket,
  ]
  // The third output is stdin too: Node makes only descriptors 0 to 2 blocking, and both are one
  // socket.
  return spawn(program, args, { stdio: [third, stdout, stderr, third], detached: true })
}

/** Replies with an error. The parent closes the sockets once it has received the reply. */
function fail(id: string, error: unknown, sockets: readonly Socket[]): void {
  const { code = 'UNKNOWN', message } = error as NodeJS.ErrnoException
  send({ id, failed: { code, message } })
  for (const socket of sockets) socket.resume()
}

function send(reply: SpawnReply): void {
  process.send?.(reply, undefined, {}, () => {}) // ignores that the parent has just exited
}
