import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import { PACKAGE_DIR } from '../../src/config.js'

const CLI = join(PACKAGE_DIR, 'dist', 'src', 'cli', 'main.js')

/** Starts `earshot` in its own process. */
export function start(args: readonly string[], env: Record<string, string> = {}) {
  return spawn(process.execPath, [CLI, ...args], {
    env: { ...process.env, EARSHOT_PROVIDERS: 'cpu', EARSHOT_LOG: 'silent', ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
  })
}

/** Runs `earshot` until it exits. */
export async function earshot(
  ...args: string[]
): Promise<{ code: number; stdout: string; stderr: string }> {
  const child = start(args)
  let stdout = ''
  let stderr = ''
  child.stdout.on('data', (chunk) => (stdout += chunk))
  child.stderr.on('data', (chunk) => (stderr += chunk))
  const [code] = await once(child, 'close')
  return { code, stdout, stderr }
}
