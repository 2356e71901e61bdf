"""The importable helpers of the lectures: the corpora and the figures."""
