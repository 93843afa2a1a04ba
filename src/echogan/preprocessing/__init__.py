"""Recordings to frames: sector, cardiac phase, extraction, preview."""
