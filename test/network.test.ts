import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { it } from 'node:test'
import { fileURLToPath } from 'node:url'
import type { Seen } from './in-own-network.js'
import { temporaryDir } from './workplace.js'

const LOOPBACK_UP =
  'import fcntl, socket, struct; ' + "fcntl.ioctl(socket.socket(), 0x8914, struct.pack('16sh', b'lo', 0x41))" // SIOCSIFFLAGS, up

it('asks no name server and connects to nobody, whatever the command', async (test) => {
  const dir = await temporaryDir(test)
  await writeFile(join(dir, 'resolv.conf'), 'nameserver 127.0.0.1\n')
  const network = `mount --bind '${dir}/resolv.conf' /etc/resolv.conf && python3 -c "${LOOPBACK_UP}"`
  if (inNamespace(network).status !== 0) {
    test.skip('this system lets no test have a network of its own')
    return
  }
  const script = fileURLToPath(new URL('in-own-network.js', import.meta.url))

  const { stdout, stderr } = inNamespace(`${network} && '${process.execPath}' '${script}' '${dir}'`)

  const told = stdout.split('\n').find((line) => line.startsWith('{'))
  assert.ok(told, stderr)
  const { dns, connections, codes, served, cached } = JSON.parse(told) as Seen
  assert.deepEqual({ dns, connections, cached }, { dns: [], connections: 0, cached: [] })
  assert.equal(served, 200)
  assert.deepEqual(new Set(Object.values(codes)), new Set([0]), JSON.stringify(codes))
})

const inNamespace = (line: string) =>
  spawnSync('unshare', ['--user', '--map-root-user', '--net', '--mount', 'sh', '-c', line], {
    encoding: 'utf8',
  })
