"""`make demo`: everything of this project on one machine, on a real broker, to look at."""
