"""Profiles and studies: TOML files in, checked object trees out, with the origin of every value."""
