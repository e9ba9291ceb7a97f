"""Where the parts of a model are, when, and in which number format; for models of which one device cannot hold all."""
