import type { CompletionNode } from './nodes.js'

/**
 * Returns shell code that reads `word` in a loop over `typed`, then `previous` and `current`. It
 * sets `offered` to the words that can complete `current`. Bash and zsh both run it.
 */
export const matcher = (nodes: readonly CompletionNode[], typed: string): string =>
  `  local at='' is_value='' offered='' word
  for word in ${typed}; do
    if [[ -n $is_value ]]; then is_value=''; continue; fi
    case "$word" in ${valueFlags(nodes)}) is_value=1 ;; esac
    case "$at $word" in ${paths(nodes)}) at="$at $word" ;; esac
  done
  if [[ -n $is_value ]]; then
    case "$at $previous" in${choiceBranches(nodes)}
    esac
  elif [[ $current == -* ]]; then
    case "$at" in${branches(nodes, ({ options }) => options)}
    esac
  else
    case "$at" in${branches(nodes, ({ words }) => words)}
    esac
  fi`

const optionsOf = (nodes: readonly CompletionNode[]) =>
  nodes.flatMap(({ path, options }) => options.map((option) => ({ path, ...option })))

function valueFlags(nodes: readonly CompletionNode[]): string {
  const flags = optionsOf(nodes).filter(({ takesValue }) => takesValue)
  return [...new Set(flags.map(({ name }) => name))].join('|')
}

const paths = (nodes: readonly CompletionNode[]): string =>
  nodes
    .filter(({ path }) => path !== '')
    .map(({ path }) => `'${path}'`)
    .join('|')

const choiceBranches = (nodes: readonly CompletionNode[]): string =>
  optionsOf(nodes)
    .filter(({ choices }) => choices.length > 0)
    .map(({ path, name, choices }) => branch(`'${path} ${name}'`, choices.join(' ')))
    .join('')

/** Returns a branch for each list of names, with all commands that offer it. */
function branches(
  nodes: readonly CompletionNode[],
  wordsOf: (node: CompletionNode) => readonly { readonly name: string }[],
): string {
  const patterns = new Map<string, string>()
  for (const node of nodes) {
    const names = wordsOf(node)
      .map(({ name }) => name)
      .join(' ')
    const others = patterns.has(names) ? `${patterns.get(names)}|` : ''
    if (names) patterns.set(names, `${others}'${node.path}'`)
  }
  return [...patterns].map(([names, pattern]) => branch(pattern, names)).join('')
}

const branch = (pattern: string, names: string): string =>
  `\n      ${pattern}) offered='${names}' ;;`
