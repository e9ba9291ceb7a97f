"""``animegen train``: what a training is asked to do, what a trainer answers, and the record that is kept of it."""
