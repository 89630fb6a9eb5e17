import type { TestContext } from 'node:test'
import type { Worker } from 'node:worker_threads'

/** Records the worker threads that start during the test, in order. Releases them at its end. */
export function threadsOf(
  test: Pick<TestContext, 'after'>,
  onStart: (thread: Worker, before: readonly Worker[]) => void = () => {},
): readonly Worker[] {
  const threads: Worker[] = []
  const add = (thread: Worker) => {
    onStart(thread, [...threads])
    threads.push(thread)
  }
  process.on('worker', add)
  test.after(() => {
    process.off('worker', add)
    for (const thread of threads) goOn(thread)
  })
  return threads
}

export const isAlive = ({ threadId }: Worker): boolean => threadId !== -1

/** Holds the messages to a thread after the first `passed` ones until `release` is called. */
export class Hang {
  readonly kept: Parameters<Worker['postMessage']>[] = []

  constructor(
    private readonly thread: Worker,
    passed = 0,
  ) {
    let left = passed
    const send = thread.postMessage.bind(thread)
    thread.postMessage = (...message) => {
      if (left-- > 0) send(...message)
      else this.kept.push(message)
    }
  }

  release(): void {
    goOn(this.thread)
    for (const message of this.kept.splice(0)) this.thread.postMessage(...message)
  }
}

/** Restores the method of the class. */
const goOn = (thread: Worker) => Reflect.deleteProperty(thread, 'postMessage')
