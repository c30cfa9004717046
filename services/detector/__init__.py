"""The detector: judges each transaction of the input topic once and passes it on."""
