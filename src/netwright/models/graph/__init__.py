"""Networks that read graphs: nodes with features, and the edges between them."""
