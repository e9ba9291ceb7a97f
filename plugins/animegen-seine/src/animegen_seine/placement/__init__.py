"""Which part of the model is where, and in how much memory."""
