"""What a source promises about its rows: the vocabulary of `contract:`, the expectations that it means, and their verdicts.

Great Expectations gives the meaning: every promise is one of its expectations, by its type name. How rows are asked is the
business of adapters.expectations; what follows from a verdict is that of the stages.
"""
