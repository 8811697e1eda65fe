"""Datassay: which training examples are mislabelled, redundant, ambiguous or decisive.

Importing the package is cheap; torch, transformers and pandas load only inside the functions that need them.
"""

__version__ = "0.1.0"
