"""The report page of a study: one self-contained HTML file, and the same in Markdown."""
