"""headrace: the feedback loop for language data in one self-hosted server."""

__version__ = "0.1.0"
