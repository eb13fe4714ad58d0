"""From cluster definitions to one flat graph."""
