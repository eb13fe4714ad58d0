"""Graphs loaded to be drawn, drawn by Graphviz, and kept."""
