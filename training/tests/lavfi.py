"""Small media files by ffmpeg."""

import subprocess
from pathlib import Path

BT709 = "color_primaries=bt709:color_trc=bt709:colorspace=bt709:range=tv"
BARS = f"smptebars=s=192x108:r=5:d=1,format=yuv420p,setparams={BT709}"


def make(path: Path, *inputs: str, options: tuple[str, ...] = ()) -> Path:
    """A file of lavfi sources."""
    sources = [word for source in inputs for word in ("-f", "lavfi", "-i", source)]
    subprocess.run(["ffmpeg", "-v", "error", "-y", *sources, *options, str(path)], check=True, timeout=60)
    return path


def hdr(path: Path, transfer: str) -> Path:
    """The colours of `BARS` in HDR, their white at 203 cd/m²; by `smpte2084` (PQ) or `arib-std-b67` (HLG)."""
    chain = f"zscale=t=linear:npl=203,format=gbrpf32le,zscale=p=bt2020:t={transfer}:m=bt2020nc:r=tv:npl=203"
    colours = ("-color_primaries", "bt2020", "-color_trc", transfer, "-colorspace", "bt2020nc", "-color_range", "tv")
    return make(path, f"{BARS},{chain},format=yuv420p10le", options=("-c:v", "ffv1", *colours))


def brightening(seconds: float) -> str:
    """A slope from left to right whose mean luma rises by 20 a second, from 30."""
    return f"color=black:s=64x48:r=10:d={seconds},format=yuv420p,geq=lum='30+20*T+(X-31.5)/2':cb=128:cr=128"


def tone(seconds: float, rate: int = 16000) -> str:
    return f"sine=440:sample_rate={rate}:duration={seconds}"


def noise(seconds: float) -> str:
    return f"anoisesrc=duration={seconds}:sample_rate=16000:seed=1"


def silence(seconds: float) -> str:
    return f"anullsrc=r=16000:cl=mono:d={seconds}"
