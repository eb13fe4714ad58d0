"""Graph programs: clusters of sources, computes, triggers and actions (spec 20, 21)."""
