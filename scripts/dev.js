// Compiles and restarts the server after each change: `npm run dev`.
import { spawn } from 'node:child_process'
import { ROOT, setUp } from './setup.js'

setUp()
const children = [
  spawn('npx', ['tsc', '--watch', '--preserveWatchOutput'], { cwd: ROOT, stdio: 'inherit' }),
  spawn(
    process.execPath,
    ['--watch', '--enable-source-maps', 'dist/src/cli/main.js', 'serve', ...process.argv.slice(2)],
    {
      cwd: ROOT,
      stdio: 'inherit',
    },
  ),
]
for (const child of children) child.on('exit', () => children.forEach((other) => void other.kill()))
