"""gslb: one policy moves traffic between a private data centre and public clouds."""

__version__ = "0.1.0"
