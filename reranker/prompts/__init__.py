"""Prompt templates of stage 2: what is asked of a student, and how its answer is taken apart."""
