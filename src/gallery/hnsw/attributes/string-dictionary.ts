/** Numbers of strings, so that a column can hold them. */
export class StringDictionary {
  readonly #codes = new Map<string, number>()
  readonly #strings: string[] = [] // by code

  constructor(strings: Iterable<string> = []) {
    for (const each of strings) this.add(each)
  }

  get strings(): readonly string[] {
    return this.#strings
  }

  /** Returns the code of a string, a new one if it has none. */
  add(text: string): number {
    const known = this.#codes.get(text)
    if (known !== undefined) return known
    this.#codes.set(text, this.#strings.length)
    return this.#strings.push(text) - 1
  }

  /** Returns undefined for an unknown string. */
  codeOf(text: string): number | undefined {
    return this.#codes.get(text)
  }

  textOf(code: number): string {
    return this.#strings[code] as string
  }
}
