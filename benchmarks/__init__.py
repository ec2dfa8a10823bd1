"""Speed and quality figures, each printed by one command. Not part of the tests."""
