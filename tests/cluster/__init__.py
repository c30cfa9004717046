"""What runs on a real node: `conftest.py` starts it and builds the image."""
