"""HDR to the colours of an ordinary screen, by the server's own filters (src/media/decode/hdr.ts)."""

import functools
import subprocess

from .ffmpeg import Track

TRANSFERS = ("smpte2084", "arib-std-b67")  # ffmpeg's names of PQ and HLG
WHITE = 203  # diffuse white of HDR in cd/m² (ITU-R BT.2408)
LINEAR_SHARE = 0.6  # of white, up to which nothing changes


def is_hdr(track: Track) -> bool:
    return track.transfer in TRANSFERS


@functools.cache
def can_tone_map() -> bool:
    """Whether the ffmpeg on the path was built with zimg."""
    banner = subprocess.run(["ffmpeg", "-version"], capture_output=True, text=True, check=True).stdout
    return "--enable-libzimg" in banner


def tone_map(track: Track) -> str:
    """Filters to be appended to others; none for what is no HDR or cannot be mapped here."""
    if not is_hdr(track) or not can_tone_map():
        return ""
    return (
        f",format=yuv444p10le,zscale=tin={track.transfer}:pin=bt2020:min=bt2020nc:rin=tv:t=linear:npl={WHITE},"
        f"format=gbrpf32le,zscale=p=bt709,tonemap=mobius:param={LINEAR_SHARE}:desat=0,"
        "zscale=t=bt709:m=bt709:r=tv,format=yuv444p"
    )
