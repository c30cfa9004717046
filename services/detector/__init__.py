"""The detector: judges each transaction of the input topic once and forwards it."""
