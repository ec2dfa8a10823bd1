"""The Train tab: jobs that fine-tune a student."""
