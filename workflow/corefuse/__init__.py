"""corefuse: from a defective crystal to its core-level spectra, and back."""

__version__ = "0.1.0"
