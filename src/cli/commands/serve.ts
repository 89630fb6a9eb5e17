import { Option } from 'commander'
import { readConfig } from '../../config.js'
import type { CliCommand } from '../command.js'
import { EXIT, type ExitCode } from '../exit-codes.js'
import { action, type Invocation } from '../invocation.js'
import { text } from '../options.js'
import { printable } from '../printable.js'

/** Declares `earshot serve`. The server handles SIGINT and SIGTERM itself. */
export function addServe(program: CliCommand): void {
  const exposed = 'listen on an address that other machines reach, without a key'
  program
    .command('serve')
    .description('Serve the library over HTTP')
    .addOption(hostOption())
    .addOption(portOption())
    .option('--allow-unauthenticated', exposed)
    .examples('earshot serve', 'EARSHOT_ROOTS=/archive earshot serve --port 8080 --data /data')
    .action(action(run, () => new AbortController().signal))
}

const hostOption = (): Option =>
  new Option('--host <host>', 'address to listen on; 127.0.0.1 admits this machine only')
    .argParser(text)
    .env('EARSHOT_HOST')
    .default(readConfig({}).http.host)

const portOption = (): Option =>
  new Option('--port <port>', 'port to listen on; 0 selects a free one')
    .env('EARSHOT_PORT')
    .default(readConfig({}).http.port)

async function run({ config, output }: Invocation): Promise<ExitCode> {
  // Lazy: the server is half of the code that all other commands load.
  const { serve } = await import('../../server.js')
  const { url, stopped } = await serve(config)
  output.result({ url }, () => `Earshot serves ${printable(config.library.dataDir)} at ${url}\n`)
  await stopped
  return EXIT.ok
}
