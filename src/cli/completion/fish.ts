import type { CompletionNode, CompletionOption, CompletionWord } from './nodes.js'

/** Returns the completion script for fish. */
export const fishScript = (
  nodes: readonly CompletionNode[],
): string => `# fish completion of earshot
function __earshot_at
  set -l at ''
  set -l is_value ''
  for word in (commandline -opc)[2..-1]
    if test -n "$is_value"
      set is_value ''
    else if contains -- $word ${valueFlags(nodes)}
      set is_value 1
    else if contains -- "$at $word" ${paths(nodes)}
      set at "$at $word"
    end
  end
  test "$at" = $argv[1]
end
${nodes.flatMap(linesOf).join('\n')}
`

const valueFlags = (nodes: readonly CompletionNode[]): string => {
  const options = nodes.flatMap((node) => node.options).filter(({ takesValue }) => takesValue)
  return [...new Set(options.map(({ name }) => name))].join(' ')
}

const paths = (nodes: readonly CompletionNode[]): string =>
  nodes.map(({ path }) => quoted(path)).join(' ')

function linesOf({ path, words, options }: CompletionNode): readonly string[] {
  const start = `complete -c earshot -n ${quoted(`__earshot_at ${quoted(path)}`)}`
  return [
    ...words.map((word) => `${start} -f ${wordArguments(word)}`),
    ...options.map((option) => `${start} ${optionArguments(option)}`),
  ]
}

const wordArguments = ({ name, description }: CompletionWord): string =>
  `-a ${name} -d ${quoted(description)}`

function optionArguments({ name, description, takesValue, choices }: CompletionOption): string {
  const values = choices.length > 0 ? ` -x -a ${quoted(choices.join(' '))}` : ' -r'
  return `-l ${name.slice(2)}${takesValue ? values : ''} -d ${quoted(description)}`
}

const quoted = (text: string): string => `'${text.replace(/[\\']/g, '\\$&')}'`
