"""Where studies are kept, and how files are written and read there."""
