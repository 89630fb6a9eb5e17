/**
 * A small process that starts programs for a large one, as `Launcher` asks it to. It ends with the one that asks, and
 * takes along what it has started.
 */
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { createServer, type Socket } from 'node:net'
import { killGroup } from './process-group.js'
import { type Answer, abstract, type Request } from './spawn-server.js'

const OUTPUTS = 3
const [, , name = ''] = process.argv
const connected = new Map<string, Map<number, Socket>>() // by id and descriptor: outputs of what is not started yet
const requests = new Map<string, Request>()
const running = new Set<ChildProcess>()

createServer((socket) => void take(socket)).listen(abstract(name), () =>
  answer({ listening: true }),
)
process.on('message', (request: Request) => {
  requests.set(request.id, request)
  begin(request.id)
})
process.on('disconnect', leave)
if (!process.connected) leave() // who asks has gone before it could be heard

function leave(): never {
  for (const { pid } of running) if (pid !== undefined) killGroup(pid)
  process.exit()
}

/** A connection's one line says whose output it is. */
async function take(socket: Socket): Promise<void> {
  socket.on('error', () => {})
  const [line] = await once(socket, 'data')
  socket.pause()
  const [id = '', descriptor] = String(line).trim().split(' ')
  const outputs = connected.get(id) ?? new Map<number, Socket>()
  connected.set(id, outputs.set(Number(descriptor), socket))
  socket.once('close', () => connected.delete(id))
  begin(id)
}

/** Once both its outputs and the request are here. */
function begin(id: string): void {
  const [request, outputs] = [requests.get(id), connected.get(id)]
  if (!request || outputs?.size !== OUTPUTS) return
  requests.delete(id)
  const sockets = [...outputs.values()]
  try {
    const child = launch(request, outputs)
    child.once('error', (error) => refuse(id, error, sockets))
    if (child.pid === undefined) return
    running.add(child)
    answer({ id, pid: child.pid })
    child.once('exit', (code, signal) => {
      running.delete(child)
      answer({ id, code, signal })
    })
    for (const socket of sockets) socket.destroy() // the program has its own now
  } catch (error) {
    refuse(id, error, sockets)
  }
}

function launch({ program, args }: Request, outputs: ReadonlyMap<number, Socket>): ChildProcess {
  const [one, two, three] = [outputs.get(1), outputs.get(2), outputs.get(3)] as [
    Socket,
    Socket,
    Socket,
  ]
  // The third as standard input too: Node makes writing wait on the first three descriptors only, and these are one.
  return spawn(program, args, { stdio: [three, one, two, three], detached: true })
}

/** The sockets are closed by who asked, once it has heard why. */
function refuse(id: string, error: unknown, sockets: readonly Socket[]): void {
  answer({ id, failed: told(error) })
  for (const socket of sockets) socket.resume()
}

function told(error: unknown): { readonly code: string; readonly message: string } {
  const { code = 'UNKNOWN', message } = error as NodeJS.ErrnoException
  return { code, message }
}

function answer(what: Answer): void {
  process.send?.(what, undefined, {}, () => {}) // who asked may have gone just now
}
