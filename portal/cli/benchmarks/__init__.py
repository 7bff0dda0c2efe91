"""``portal bench engine`` and ``portal bench handover``: the engine beside FunASR itself, on the same recordings."""
