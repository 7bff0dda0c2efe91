"""The decoder's process: ``python -I -m portal.asr.decoding.child MODE LIMITS PARENT_PID`` with the recording as stdin.

``MODE`` is ``probe``, ``mix`` or ``split``; ``LIMITS`` is ``DecodeLimits.to_json``. Messages go to stdout (``frames``):

* ``facts``: what the header says, and which measures of the sandbox hold
* ``pcm``: a block; ``begin`` in samples, ``channels``; the payload is one int16 block after the other
* ``end``: ``decoded_ms`` and ``truncated``
* ``error``: ``code``, ``detail``, ``params`` of a MediaError
"""

from __future__ import annotations

import os
import sys
from typing import Any, BinaryIO

from portal.asr.decoding.frames import write_frame
from portal.asr.decoding.limits import DecodeLimits
from portal.asr.decoding.lockdown import allow_cpu, close_doors, drop_rights
from portal.asr.errors import MediaError


def main(arguments: list[str]) -> int:
    """Lock the process in, then decode. Returns the exit status."""
    mode, limits, parent = arguments[0], DecodeLimits.from_json(arguments[1]), int(arguments[2])
    sandbox = drop_rights(parent)
    from portal.asr.decoding import decoder as module

    module.warm_up()  # whatever loads late must load now: after close_doors no file opens
    sandbox += close_doors(limits)
    out = os.fdopen(1, "wb", closefd=False)
    try:
        _decode(module, mode, limits, sandbox, out)
    except MediaError as error:
        _refuse(out, error)
    except MemoryError:
        write_frame(
            out, {"kind": "error", "code": "MEDIA_DECODE_LIMIT", "detail": "memory", "params": {"bound": "memory"}}
        )
    except BrokenPipeError:
        return 1  # nobody wants the rest
    except Exception as error:  # the parent must hear that it was this recording, in its own words
        _refuse(out, MediaError("MEDIA_DAMAGED", type(error).__name__))
    return 0


def _refuse(out: BinaryIO, error: MediaError) -> None:
    write_frame(out, {"kind": "error", "code": error.code, "detail": error.detail, "params": error.params})


def _decode(module: Any, mode: str, limits: DecodeLimits, sandbox: list[str], out: BinaryIO) -> None:
    with os.fdopen(0, "rb", closefd=False) as stream:
        container, facts = module.open_recording(stream, limits)
        split = mode == "split" and facts["channels"] == 2
        write_frame(out, {"kind": "facts", "split": split, "sandbox": sandbox, **facts})
        if mode == "probe":
            return

        def emit(channels: list[bytes], begin: int) -> None:
            write_frame(out, {"kind": "pcm", "begin": begin, "channels": len(channels)}, b"".join(channels))

        decoder = module.Decoder(container, split, limits, emit, lambda decoded: allow_cpu(limits, decoded))
        decoder.run()
        if decoder.decoded_ms == 0:
            raise MediaError("MEDIA_DAMAGED", "nothing could be decoded")
        if decoder.decoded_ms < limits.min_audio_ms:
            raise MediaError("MEDIA_TOO_SHORT", decoded_ms=decoder.decoded_ms, limit_ms=limits.min_audio_ms)
        truncated = module.broke_off(decoder, facts["container"], stream)
        write_frame(out, {"kind": "end", "decoded_ms": decoder.decoded_ms, "truncated": truncated})


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
