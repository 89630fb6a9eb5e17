import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { basename } from 'node:path'
import type { Readable } from 'node:stream'
import { killGroup } from './process-group.js'
import { type Exit, type SpawnedProcess, SpawnServer } from './spawn-server.js'

/**
 * Spawns a program in a process group of its own. On Linux a spawn server starts it. Throws the
 * error of the system (ENOENT, EACCES, EMFILE and so on in `code`).
 */
export async function spawnProcess(
  program: string,
  args: readonly string[],
): Promise<SpawnedProcess> {
  return process.platform === 'linux'
    ? await (await spawnServer()).spawn(program, args)
    : await spawnDirectly(program, args)
}

let server: Promise<SpawnServer> | null = null // one at a time, shared by this process

function spawnServer(): Promise<SpawnServer> {
  server ??= startServer()
  return server
}

async function startServer(): Promise<SpawnServer> {
  const forget = () => {
    server = null // the next call starts another
  }
  try {
    return await SpawnServer.start(forget)
  } catch (error) {
    forget()
    throw error
  }
}

async function spawnDirectly(program: string, args: readonly string[]): Promise<SpawnedProcess> {
  const child = spawn(program, args, {
    stdio: ['ignore', 'pipe', 'pipe', 'pipe'],
    detached: true,
    windowsHide: true,
  })
  if (!child.stderr) throw outOfDescriptors(child)
  await once(child, 'spawn')
  const pid = child.pid as number
  const ended = once(child, 'exit').then(([code, signal]): Exit => ({ code, signal }))
  const [, stdout, stderr, third] = child.stdio as unknown as Readable[]
  const kill = () => (process.platform === 'win32' ? void child.kill('SIGKILL') : killGroup(pid))
  return { outputs: [stdout, stderr, third] as SpawnedProcess['outputs'], ended, kill }
}

/** Creates EMFILE. Without descriptors for pipes, Node starts nothing and emits the error later. */
function outOfDescriptors(child: ChildProcess): Error {
  child.once('error', () => {})
  const message = `${basename(child.spawnfile)} cannot be started: no file descriptors are left`
  return Object.assign(new Error(message), { code: 'EMFILE' })
}
