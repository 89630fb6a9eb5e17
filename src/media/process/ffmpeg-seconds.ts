/** Returns seconds as ffmpeg reads them: a plain decimal, since it reads no exponents (`1e-9`). */
export const ffmpegSeconds = (seconds: number): string => seconds.toFixed(6)
