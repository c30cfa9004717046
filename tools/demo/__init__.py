"""`make demo`: the whole project on one machine, with a real broker and a live view."""
