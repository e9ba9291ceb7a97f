"""From two panels to a clip: the steps, their checks, the store of results, the run's record and folder."""
