"""Children of ``portal bench engine`` that need torch or FunASR: stock arms, the ceiling, the random models."""
