"""Programs that the image does not carry: the demo, local servers, writers of generated files."""
