import { type ChildProcess, spawn } from 'node:child_process'
import { createSocket } from 'node:dgram'
import { once } from 'node:events'
import { copyFile, mkdir, readdir, readFile } from 'node:fs/promises'
import { createServer } from 'node:net'
import { join } from 'node:path'
import { setTimeout } from 'node:timers/promises'
import { fileURLToPath, pathToFileURL } from 'node:url'
import { eventually } from './eventually.js'
import { fixture } from './workplace.js'

/** Duration of the server. Telemetry of onnxruntime would resolve its host within 4 s. */
const SERVE_MS = 12_000
const PORT = 17_412
const MAIN = fileURLToPath(new URL('../src/cli/main.js', import.meta.url))

export interface Seen {
  readonly dns: readonly string[] // requested names
  readonly connections: number // to the address of every name
  readonly codes: Readonly<Record<string, number | null>> // exit codes of the commands
  readonly served: number // status of a search over HTTP
  readonly unroutable: number // connections and datagrams to other machines
  readonly left: readonly string[] // files that remain in the home, cache and temporary folders
}

/** Runs every command in a network that resolves each name to this process. Returns its traffic. */
async function watchCommands(dir: string): Promise<Seen> {
  const dns: string[] = []
  let connections = 0
  const names = createSocket('udp4')
  names.on('message', (question, { address, port }) => {
    dns.push(nameIn(question))
    names.send(answerTo(question), port, address)
  })
  await new Promise<void>((resolve) => names.bind(53, '127.0.0.1', resolve))
  const tls = createServer((socket) => {
    connections++
    socket.on('error', () => {}).destroy()
  })
  await once(tls.listen(443, '127.0.0.1'), 'listening')

  const folders = {
    HOME: join(dir, 'home'),
    XDG_CACHE_HOME: join(dir, 'cache'),
    TMPDIR: join(dir, 'tmp'),
  }
  for (const folder of Object.values(folders)) await mkdir(folder)
  const env = { ...process.env, ...folders, EARSHOT_BUNDLE: 'starter' }
  delete (env as NodeJS.ProcessEnv).ORT_DISABLE_TELEMETRY
  const start = (data: string, ...args: string[]): ChildProcess =>
    spawn(process.execPath, [MAIN, ...args, '--data', join(dir, data)], { env, stdio: 'ignore' })
  const codes: Record<string, number | null> = {}
  const run = async (name: string, data: string, ...args: string[]) => {
    const [code] = await once(start(data, ...args), 'exit')
    codes[name] = code
  }

  const sound = join(dir, 'sound.opus')
  await copyFile(fixture('sound_perc_bell.opus'), sound)
  const server = start('served', 'serve', '--port', String(PORT))
  const isReady = () =>
    fetch(`http://127.0.0.1:${PORT}/readyz`).then(
      ({ ok }) => ok,
      () => false,
    )
  const serving = (async () => {
    await eventually(isReady, Boolean)
    await setTimeout(SERVE_MS / 2)
    const form = new FormData()
    form.append('file', new Blob([await readFile(sound)]), 'sound.opus')
    const { status } = await fetch(`http://127.0.0.1:${PORT}/v1/search`, {
      method: 'POST',
      body: form,
    })
    await setTimeout(SERVE_MS / 2)
    server.kill('SIGTERM')
    await once(server, 'exit')
    return status
  })()
  await run('index', 'library', 'index', sound)
  const library = ['search', 'tag'].map((name) => run(name, 'library', name, sound))
  const plain = ['doctor', 'jobs', 'library', 'help'].map((name) => run(name, 'library', name))
  await Promise.all([...library, ...plain, run('backup', 'library', 'backup', join(dir, 'copy'))])
  await Promise.all([
    run('restore', 'restored', 'restore', join(dir, 'copy')),
    run('reindex', 'library', 'reindex', '--bundle', 'cavmae-small'),
  ])
  const served = await serving
  codes.serve = server.exitCode
  names.close()
  tls.close()
  const left = await Promise.all(
    Object.values(folders).map((folder) => readdir(folder, { recursive: true })),
  )
  return { dns, connections, codes, served, unroutable: await unroutable(), left: left.flat() }
}

/**
 * Returns the number of packets in this network to an address without a route. Loopback is the only
 * interface, so every address of another machine has no route.
 */
async function unroutable(): Promise<number> {
  const [names = '', values = ''] = (await readFile('/proc/net/snmp', 'utf8')).split('\n')
  const ipv4 = values.split(' ')[names.split(' ').indexOf('OutNoRoutes')]
  const ipv6 = (await readFile('/proc/net/snmp6', 'utf8').catch(() => '')).match(
    /^Ip6OutNoRoutes\s+(\d+)/m,
  )?.[1]
  return Number(ipv4) + Number(ipv6 ?? 0)
}

function nameIn(question: Buffer): string {
  const labels: string[] = []
  for (let at = 12; (question[at] ?? 0) > 0; at += 1 + (question[at] ?? 0)) {
    labels.push(question.toString('latin1', at + 1, at + 1 + (question[at] ?? 0)))
  }
  return labels.join('.')
}

/** Creates an answer that resolves the name to 127.0.0.1. */
function answerTo(question: Buffer): Buffer {
  const address = Buffer.from([0xc0, 0x0c, 0, 1, 0, 1, 0, 0, 0, 60, 0, 4, 127, 0, 0, 1])
  const head = Buffer.from([question[0] ?? 0, question[1] ?? 0, 0x81, 0x80, 0, 1, 0, 1, 0, 0, 0, 0])
  return Buffer.concat([head, question.subarray(12), address])
}

const [, script = '', dir = ''] = process.argv
if (import.meta.url === pathToFileURL(script).href) {
  console.log(JSON.stringify(await watchCommands(dir)))
}
