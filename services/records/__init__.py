"""Records of the output topics as their readers have them: read from outside, and in words."""
