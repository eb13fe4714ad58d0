"""Graph programs as texts: cluster documents, manifests, and the discovery of every text a graph refers to."""
