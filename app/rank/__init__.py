"""The Rank tab: one query ranked, drawn, shared and kept."""
