"""The security promises as tests."""
