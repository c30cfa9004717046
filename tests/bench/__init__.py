"""`make bench`: the detector beside a bare pass-through and the seed's own loop, on one broker."""
