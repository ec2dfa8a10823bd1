"""The Explain tab: questions to a ranking."""
