/** Maps options to the environment variables of the same meaning. */
const VARIABLES = {
  data: 'EARSHOT_DATA',
  host: 'EARSHOT_HOST',
  port: 'EARSHOT_PORT',
  allowUnauthenticated: 'EARSHOT_ALLOW_UNAUTHENTICATED',
} as const

/** Returns the environment variables that parsed options set. */
export function environmentOf(options: Readonly<Record<string, unknown>>): Record<string, string> {
  return Object.fromEntries(
    Object.entries(VARIABLES)
      .filter(([name]) => options[name] !== undefined)
      .map(([name, variable]) => [variable, options[name] === true ? '1' : String(options[name])]),
  )
}
