import { type Command, EXIT } from '../command.js'

export const serveCommand: Command = {
  name: 'serve',
  summary: 'Serve the library over HTTP',
  usage: 'serve [--host <host>] [--port <port>] [options]',
  examples: ['earshot serve', 'EARSHOT_ROOTS=/archive earshot serve --port 8080 --data /data'],
  mostArgs: 0,
  options: {
    host: { type: 'string' },
    port: { type: 'string' },
    'allow-unauthenticated': { type: 'boolean' },
  },
  optionHelp: {
    '--host <host>': 'address to listen on (127.0.0.1: this machine only)',
    '--allow-unauthenticated': 'listen where other machines can use the library without a key',
    '--port <port>': 'port to listen on, 0 for a free one (7411)',
  },
  async run({ config, output }) {
    const { serve } = await import('../../server.js') // half of what all other commands would load
    const { url, stopped } = await serve(config)
    output.result({ url }, () => `Earshot serves ${config.library.dataDir} at ${url}\n`)
    await stopped
    return EXIT.ok
  },
}
