import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { readdir, writeFile } from 'node:fs/promises'
import { join, parse } from 'node:path'
import { it } from 'node:test'
import { fileURLToPath } from 'node:url'
import type { Seen } from './in-own-network.js'
import { temporaryDir } from './workplace.js'

const BY_IOCTL =
  'import fcntl, socket, struct; ' +
  "fcntl.ioctl(socket.socket(), 0x8914, struct.pack('16sh', b'lo', 0x41))" // SIOCSIFFLAGS, up
const LOOPBACK_UP = `(ip link set lo up || python3 -c "${BY_IOCTL}")`

it('asks no name server and connects to no address with any command', async (test) => {
  const dir = await temporaryDir(test)
  await writeFile(join(dir, 'resolv.conf'), 'nameserver 127.0.0.1\n')
  const network = `mount --bind '${dir}/resolv.conf' /etc/resolv.conf && ${LOOPBACK_UP}`
  const tried = inNamespace(network)
  if (tried.status !== 0) {
    test.skip(
      `no network namespace (unshare, and ip or python3): ${tried.error?.message ?? tried.stderr}`,
    )
    return
  }
  const script = fileURLToPath(new URL('in-own-network.js', import.meta.url))

  const { stdout, stderr } = inNamespace(`${network} && '${process.execPath}' '${script}' '${dir}'`)

  const outcome = stdout.split('\n').find((line) => line.startsWith('{'))
  assert.ok(outcome, stderr)
  const { codes, served, ...seen } = JSON.parse(outcome) as Seen
  assert.deepEqual(seen, { dns: [], connections: 0, unroutable: 0, left: [] })
  assert.equal(served, 200)
  assert.deepEqual(new Set(Object.values(codes)), new Set([0]), JSON.stringify(codes))
  const commands = await readdir(new URL('../src/cli/commands', import.meta.url))
  const names = commands.filter((file) => file.endsWith('.js')).map((file) => parse(file).name)
  assert.deepEqual(Object.keys(codes).sort(), [...names, 'help'].sort())
})

const inNamespace = (line: string) =>
  spawnSync('unshare', ['--user', '--map-root-user', '--net', '--mount', 'sh', '-c', line], {
    encoding: 'utf8',
  })
