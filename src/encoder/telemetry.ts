/**
 * Disables the telemetry of onnxruntime-node, which is on by default on Linux. It sends events to
 * Microsoft and keeps a device id and an events database in the user's cache folder. The native
 * library reads the variable when it loads. Only the main thread can set it: a worker has a copy of
 * the environment.
 */
export function disableTelemetry(): void {
  process.env.ORT_DISABLE_TELEMETRY = '1'
}
