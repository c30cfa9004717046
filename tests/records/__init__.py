"""Records as their readers have them."""
