import { type ChildProcess, fork } from 'node:child_process'
import { randomUUID } from 'node:crypto'
import { once } from 'node:events'
import { connect, type Socket } from 'node:net'
import type { Readable } from 'node:stream'
import { fileURLToPath } from 'node:url'
import { killGroup } from './process-group.js'

/** A program in a process group of its own, so that it can be killed whole where it is a wrapper. */
export interface SpawnedProcess {
  readonly outputs: readonly [Readable, Readable, Readable] // of its descriptors 1, 2 and 3
  readonly ended: Promise<Exit>
  kill(): void // with what it has started
}

/** How a program ended: by its own exit code, or killed by a signal. */
export interface Exit {
  readonly code: number | null
  readonly signal: string | null
}

export interface Request {
  readonly id: string
  readonly program: string
  readonly args: readonly string[]
}

export type Answer =
  | { readonly listening: true }
  | { readonly id: string; readonly pid: number }
  | { readonly id: string; readonly failed: { readonly code: string; readonly message: string } }
  | ({ readonly id: string } & Exit)

const OUTPUTS = [1, 2, 3] as const // descriptors

/**
 * Has programs started by a small process. Linux copies the page tables of a process that starts another: 5 to 10 ms
 * for each 100 MB, in which it does nothing else, and a large index has gigabytes. What the programs write comes
 * straight here, by sockets that the small process hands on to them.
 */
export class SpawnServer {
  readonly #launches = new Map<string, Launch>() // by id

  private constructor(
    private readonly child: ChildProcess,
    private readonly path: string,
    onGone: () => void,
  ) {
    child.on(
      'message',
      (answer: Answer) => 'id' in answer && this.#launches.get(answer.id)?.hear(answer),
    )
    child.on('error', () => {}) // of a request that comes too late: 'exit' tells the rest
    child.once('exit', () => {
      onGone()
      for (const launch of this.#launches.values()) launch.lose()
    })
  }

  static async start(onGone: () => void): Promise<SpawnServer> {
    const name = `earshot-${randomUUID()}`
    const main = fileURLToPath(new URL('spawn-server-main.js', import.meta.url))
    // Detached: a Ctrl-C is for us, and it ends when we do. It holds none of our streams, whose readers wait for their end.
    const child = fork(main, [name], {
      execArgv: [],
      detached: true,
      stdio: ['ignore', 'ignore', 'ignore', 'ipc'],
    })
    await Promise.race([
      once(child, 'message'),
      once(child, 'exit').then(() => Promise.reject(lost())),
    ])
    child.unref()
    child.channel?.unref()
    return new SpawnServer(child, abstract(name), onGone)
  }

  async launch(program: string, args: readonly string[]): Promise<SpawnedProcess> {
    const id = randomUUID()
    const launch = this.#open(id)
    try {
      await Promise.all(
        OUTPUTS.map((descriptor) => launch.connect(this.path, `${id} ${descriptor}\n`)),
      )
      this.child.send({ id, program, args } satisfies Request)
      const pid = await launch.started
      return { outputs: launch.outputs, ended: launch.ended, kill: () => killGroup(pid) }
    } catch (error) {
      launch.fail(error)
      throw error
    }
  }

  /** This process lives at least until all is known of what runs for it. */
  #open(id: string): Launch {
    const launch = new Launch()
    this.#launches.set(id, launch)
    this.child.channel?.ref()
    void launch.ended.then(() => {
      this.#launches.delete(id)
      if (this.#launches.size === 0) this.child.channel?.unref()
    })
    return launch
  }
}

/** A socket of no file: none can be left behind. */
export const abstract = (name: string): string => `\0${name}`

/** What is heard of one program. */
class Launch {
  readonly started: Promise<number> // its process id
  readonly ended: Promise<Exit>
  readonly #sockets: Socket[] = []
  #pid: number | null = null
  #start: (pid: number) => void = () => {}
  #refuse: (error: unknown) => void = () => {}
  #end: (exit: Exit) => void = () => {}

  constructor() {
    this.started = new Promise((resolve, reject) => {
      this.#start = resolve
      this.#refuse = reject
    })
    this.started.catch(() => {})
    this.ended = new Promise((resolve) => {
      this.#end = resolve
    })
  }

  get outputs(): SpawnedProcess['outputs'] {
    const [one, two, three] = this.#sockets as [Socket, Socket, Socket]
    return [one, two, three]
  }

  async connect(path: string, line: string): Promise<void> {
    const socket = connect(path)
    this.#sockets.push(socket)
    await once(socket, 'connect').catch((error) => {
      throw error.code === 'ECONNREFUSED' ? lost() : error
    })
    socket.once('close', () => this.#refuse(lost())) // nothing, where it has been started
    socket.write(line)
  }

  hear(answer: Exclude<Answer, { listening: true }>): void {
    if ('pid' in answer) this.#run(answer.pid)
    else if ('code' in answer) this.#end({ code: answer.code, signal: answer.signal })
    else this.fail(Object.assign(new Error(answer.failed.message), { code: answer.failed.code }))
  }

  /** Without the small process nobody would hear how it ends. */
  lose(): void {
    if (this.#pid !== null) killGroup(this.#pid)
    this.fail(lost())
  }

  #run(pid: number): void {
    this.#pid = pid
    this.#start(pid)
  }

  fail(error: unknown): void {
    for (const socket of this.#sockets) socket.destroy()
    this.#refuse(error)
    this.#end({ code: null, signal: null })
  }
}

const lost = () =>
  Object.assign(new Error('the process that starts ffmpeg has ended'), { code: 'EAGAIN' })
