"""Which part of the model is where, when, and in how much memory."""
