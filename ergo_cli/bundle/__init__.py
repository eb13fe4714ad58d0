"""Capture bundles: their text format, the streaming writer, the lazy reader, journals, checks and inspection."""
