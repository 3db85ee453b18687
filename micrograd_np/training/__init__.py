"""Training: from two arrays and a model to a trained model and its history."""
