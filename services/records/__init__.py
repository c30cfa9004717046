"""Records of the output topics for their readers: consumed without a group, and shown as text."""
