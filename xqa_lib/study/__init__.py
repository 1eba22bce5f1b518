"""What is run: parameters, places of results, stages, experiments."""
