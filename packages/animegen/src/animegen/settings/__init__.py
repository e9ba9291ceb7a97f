"""What a run is asked to do, and where each value came from: recipes, files, the environment, the command line."""
