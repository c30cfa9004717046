"""The windows under load and faults, every decision compared with the oracle's."""
