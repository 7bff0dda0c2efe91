"""Model families besides Paraformer, each behind ``building.Family``."""
