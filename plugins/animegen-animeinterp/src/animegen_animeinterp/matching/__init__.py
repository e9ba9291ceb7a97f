"""Which region of one drawing is which of the other, and the first guess of motion that follows (section 4.1)."""
