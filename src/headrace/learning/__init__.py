"""Training, validation and prediction of text classifiers; pure functions run in child processes."""
