"""The Annotate tab: rankings and reasons judged by people."""
