import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { basename } from 'node:path'
import type { Readable } from 'node:stream'
import { killGroup } from './process-group.js'
import { type Exit, type SpawnedProcess, SpawnServer } from './spawn-server.js'

/** Errors are the system's: ENOENT, EACCES, EMFILE and their like by `code`. */
export async function launch(program: string, args: readonly string[]): Promise<SpawnedProcess> {
  return process.platform === 'linux'
    ? await (await launcher()).launch(program, args)
    : await launchHere(program, args)
}

let started: Promise<SpawnServer> | null = null // one at a time, for the life of this process

function launcher(): Promise<SpawnServer> {
  started ??= startLauncher()
  return started
}

async function startLauncher(): Promise<SpawnServer> {
  const forget = () => {
    started = null // another is started when it is needed
  }
  try {
    return await SpawnServer.start(forget)
  } catch (error) {
    forget()
    throw error
  }
}

async function launchHere(program: string, args: readonly string[]): Promise<SpawnedProcess> {
  const child = spawn(program, args, {
    stdio: ['ignore', 'pipe', 'pipe', 'pipe'],
    detached: true,
    windowsHide: true,
  })
  if (!child.stderr) throw notStarted(child)
  await once(child, 'spawn')
  const pid = child.pid as number
  const ended = once(child, 'exit').then(([code, signal]): Exit => ({ code, signal }))
  const [, one, two, three] = child.stdio as unknown as Readable[]
  const kill = () => (process.platform === 'win32' ? void child.kill('SIGKILL') : killGroup(pid))
  return { outputs: [one, two, three] as SpawnedProcess['outputs'], ended, kill }
}

/** Where there are no descriptors left for its pipes, Node starts nothing, and says so later. */
function notStarted(child: ChildProcess): Error {
  child.once('error', () => {})
  return Object.assign(new Error(`${basename(child.spawnfile)} cannot be started`), {
    code: 'EMFILE',
  })
}
