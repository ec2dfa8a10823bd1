"""Training of both stages. Writes adapter folders and never imports the pipeline."""
