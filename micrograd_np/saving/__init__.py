"""Saving: models and unfinished runs as files, and models for other frameworks."""
