import { type ChildProcess, fork } from 'node:child_process'
import { randomUUID } from 'node:crypto'
import { once } from 'node:events'
import { connect, type Socket } from 'node:net'
import type { Readable } from 'node:stream'
import { fileURLToPath } from 'node:url'
import { killGroup } from './process-group.js'

/** A process in a group of its own, so that a wrapper and its children are killed together. */
export interface SpawnedProcess {
  readonly outputs: readonly [Readable, Readable, Readable] // of its descriptors 1, 2 and 3
  readonly ended: Promise<Exit>
  kill(): void // kills the group
}

/** How a process ended: by an exit code, or by a signal. */
export interface Exit {
  readonly code: number | null
  readonly signal: string | null
}

/** Asks the spawn server to start a program. */
export interface SpawnRequest {
  readonly id: string
  readonly program: string
  readonly args: readonly string[]
}

/**
 * A message of the spawn server: it listens, or a process has started, failed to start, or ended.
 */
export type SpawnReply =
  | { readonly listening: true }
  | { readonly id: string; readonly pid: number }
  | { readonly id: string; readonly failed: { readonly code: string; readonly message: string } }
  | ({ readonly id: string } & Exit)

const OUTPUT_FDS = [1, 2, 3] as const

/**
 * Spawns processes through a small child process. On Linux a spawn copies the page tables of the
 * parent: the parent blocks for 5 to 10 ms per 100 MB, and a large index has gigabytes. Output does
 * not pass through the child: it hands its sockets on to the programs.
 */
export class SpawnServer {
  readonly #pending = new Map<string, PendingProcess>() // by id, until the process has ended

  private constructor(
    private readonly child: ChildProcess,
    private readonly path: string,
    onExit: () => void,
  ) {
    child.on(
      'message',
      (reply: SpawnReply) => 'id' in reply && this.#pending.get(reply.id)?.onReply(reply),
    )
    child.on('error', () => {}) // of a request sent too late: 'exit' follows
    child.once('exit', () => {
      onExit()
      for (const pending of this.#pending.values()) pending.onServerExit()
    })
  }

  /** Starts the server and waits until it listens. Throws EAGAIN if it exits before. */
  static async start(onExit: () => void): Promise<SpawnServer> {
    const name = `earshot-${randomUUID()}`
    const main = fileURLToPath(new URL('spawn-server-main.js', import.meta.url))
    // Detached, so that a Ctrl-C stops only this process: the server exits after it. The server
    // inherits no stream, since a reader of one would wait until the server exits.
    const child = fork(main, [name], {
      execArgv: [],
      detached: true,
      stdio: ['ignore', 'ignore', 'ignore', 'ipc'],
    })
    await Promise.race([
      once(child, 'message'),
      once(child, 'exit').then(() => Promise.reject(serverExited())),
    ])
    child.unref()
    child.channel?.unref()
    return new SpawnServer(child, abstractSocket(name), onExit)
  }

  /** Spawns a program. Throws the error of the system, or EAGAIN if the server exits. */
  async spawn(program: string, args: readonly string[]): Promise<SpawnedProcess> {
    const id = randomUUID()
    const pending = this.#open(id)
    try {
      await Promise.all(OUTPUT_FDS.map((fd) => pending.connect(this.path, `${id} ${fd}\n`)))
      this.child.send({ id, program, args } satisfies SpawnRequest)
      const pid = await pending.started
      return { outputs: pending.outputs, ended: pending.ended, kill: () => killGroup(pid) }
    } catch (error) {
      pending.fail(error)
      throw error
    }
  }

  /** Registers a process and keeps this one alive until every registered process has ended. */
  #open(id: string): PendingProcess {
    const pending = new PendingProcess()
    this.#pending.set(id, pending)
    this.child.channel?.ref()
    void pending.ended.then(() => {
      this.#pending.delete(id)
      if (this.#pending.size === 0) this.child.channel?.unref()
    })
    return pending
  }
}

/** Returns the path of an abstract socket, which leaves no file behind. */
export const abstractSocket = (name: string): string => `\0${name}`

/** Tracks one process of the server: its sockets, its start and its end. */
class PendingProcess {
  readonly started: Promise<number> // resolves with the process id
  readonly ended: Promise<Exit>
  readonly #sockets: Socket[] = []
  #pid: number | null = null
  #resolveStarted: (pid: number) => void = () => {}
  #rejectStarted: (error: unknown) => void = () => {}
  #resolveEnded: (exit: Exit) => void = () => {}

  constructor() {
    this.started = new Promise((resolve, reject) => {
      this.#resolveStarted = resolve
      this.#rejectStarted = reject
    })
    this.started.catch(() => {})
    this.ended = new Promise((resolve) => {
      this.#resolveEnded = resolve
    })
  }

  get outputs(): SpawnedProcess['outputs'] {
    const [stdout, stderr, third] = this.#sockets as [Socket, Socket, Socket]
    return [stdout, stderr, third]
  }

  async connect(path: string, line: string): Promise<void> {
    const socket = connect(path)
    this.#sockets.push(socket)
    await once(socket, 'connect').catch((error) => {
      throw error.code === 'ECONNREFUSED' ? serverExited() : error
    })
    socket.once('close', () => this.#rejectStarted(serverExited())) // no effect after the start
    socket.write(line)
  }

  onReply(reply: Exclude<SpawnReply, { listening: true }>): void {
    if ('pid' in reply) this.#start(reply.pid)
    else if ('code' in reply) this.#resolveEnded({ code: reply.code, signal: reply.signal })
    else this.fail(Object.assign(new Error(reply.failed.message), { code: reply.failed.code }))
  }

  /** Kills the process, since no reply would say how it ends. */
  onServerExit(): void {
    if (this.#pid !== null) killGroup(this.#pid)
    this.fail(serverExited())
  }

  fail(error: unknown): void {
    for (const socket of this.#sockets) socket.destroy()
    this.#rejectStarted(error)
    this.#resolveEnded({ code: null, signal: null })
  }

  #start(pid: number): void {
    this.#pid = pid
    this.#resolveStarted(pid)
  }
}

const serverExited = () =>
  Object.assign(new Error('The process that starts ffmpeg has exited: try again'), {
    code: 'EAGAIN',
  })
