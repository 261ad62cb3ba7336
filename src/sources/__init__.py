"""Where images come from. Each source lists its images; `archive.write` makes the one canonical zip of them."""
