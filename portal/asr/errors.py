"""Errors of decoding and recognition. Each carries a code of the portal's error catalogue and no user text."""

from __future__ import annotations


class AsrError(Exception):
    """A failure with a stable ``code``. ``permanent`` ones are not tried again.

    ``detail`` is for logs and administrators: it never holds recognised text or a path of another person's file.
    """

    code = "ASR_FAILED"
    permanent = False

    def __init__(self, code: str | None = None, detail: str = "", **params: object) -> None:
        super().__init__(detail or code or self.code)
        if code is not None:
            self.code = code
        self.detail = detail
        self.params: dict[str, object] = params


class MediaError(AsrError):
    """The recording itself can't be used. Codes: MEDIA_EMPTY, MEDIA_NOT_AUDIO, MEDIA_NO_AUDIO_TRACK,
    MEDIA_FORMAT_REFUSED, MEDIA_DAMAGED, MEDIA_TOO_LONG, MEDIA_TOO_MANY_CHANNELS, MEDIA_RATE_TOO_HIGH,
    MEDIA_DECODE_LIMIT (CPU, memory or output bound reached), MEDIA_TOO_SHORT, MEDIA_PROTECTED."""

    code = "MEDIA_DAMAGED"
    permanent = True


class EngineUnavailable(AsrError):
    """No engine answers; try again later."""

    code = "ENGINE_UNAVAILABLE"


class EngineBusy(AsrError):
    """The engine's bounded queue is full; try again later."""

    code = "ENGINE_BUSY"


class EngineFailed(AsrError):
    """The engine answered with an error for this request."""

    code = "ENGINE_FAILED"


class ProtocolError(AsrError):
    """The other side of the socket does not speak the protocol."""

    code = "ENGINE_PROTOCOL"
    permanent = True


class ModelError(AsrError):
    """A model directory is missing, altered or of a family outside the allow-list. Codes: MODEL_MISSING_FILE,
    MODEL_ALTERED, MODEL_UNKNOWN, MODEL_FAMILY_REFUSED, MODEL_UNSAFE, DEVICE_UNAVAILABLE."""

    code = "MODEL_UNKNOWN"
    permanent = True


class Cancelled(AsrError):
    """The person or an administrator stopped the transcription."""

    code = "CANCELLED"
    permanent = True
