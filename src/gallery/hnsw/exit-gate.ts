const OPEN = 0
const SHUT = 1
const HELD = 2
const LONGEST_MS = 100 // the process exits after it, whether the threads are held or not

/**
 * Holds a worker thread while the process exits. A thread that is terminated inside hnswlib aborts
 * the whole process.
 */
export class ExitGate {
  /** `state`: the shared memory of the gate, with which the worker thread makes its own. */
  constructor(readonly state = new Int32Array(new SharedArrayBuffer(4))) {}

  /** Blocks the worker thread for ever if the process exits. */
  pass(): void {
    if (Atomics.load(this.state, 0) === OPEN) return
    Atomics.store(this.state, 0, HELD)
    Atomics.notify(this.state, 0)
    Atomics.wait(this.state, 0, HELD)
  }

  /** Has the worker thread held when it next passes. */
  shut(): void {
    Atomics.store(this.state, 0, SHUT)
  }

  /** Blocks the main thread until the worker thread is held. An idle one never is. */
  waitUntilHeld(ms: number): void {
    Atomics.wait(this.state, 0, SHUT, Math.max(0, ms))
  }
}

const gates = new Set<ExitGate>()

/** Shuts a gate when the process exits. Returns a function that forgets the gate. */
export function shutAtExit(gate: ExitGate): () => void {
  if (gates.size === 0) process.on('exit', shutAll)
  gates.add(gate)
  return () => {
    gates.delete(gate)
    if (gates.size === 0) process.off('exit', shutAll)
  }
}

function shutAll(): void {
  const end = performance.now() + LONGEST_MS
  for (const gate of gates) gate.shut()
  for (const gate of gates) gate.waitUntilHeld(end - performance.now())
}
