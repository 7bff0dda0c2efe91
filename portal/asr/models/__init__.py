"""The small FunASR models that ship with the portal (directories seaco, vad, punc) and their recipe."""
