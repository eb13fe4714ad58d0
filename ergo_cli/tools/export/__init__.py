"""What a bundle records, or what a replay of it finds, as rows for other tools."""
