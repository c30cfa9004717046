"""The generator: writes random transactions to the input topic at a steady rate."""
